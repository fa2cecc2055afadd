"""Small networks in the form of those that FID and FVD are measured with."""

from pathlib import Path

import torch


class Inception(torch.nn.Module):
    """Features of pictures uint8 [n, 3, H, W], or class probabilities."""

    def forward(
        self, x: torch.Tensor, return_features: bool = False, no_output_bias: bool = False
    ) -> torch.Tensor:
        features = torch.nn.functional.adaptive_avg_pool2d(x.float(), 2).flatten(1)
        return features if return_features else (features / 8).softmax(1)


class I3D(torch.nn.Module):
    """Features of clips [n, 3, F, H, W] in 0 to 255."""

    def forward(
        self,
        x: torch.Tensor,
        rescale: bool = False,
        resize: bool = False,
        return_features: bool = False,
    ) -> torch.Tensor:
        if not (rescale and resize and return_features):
            return x.flatten(1)
        change = (x[:, :, 1:] - x[:, :, :-1]).abs().mean((2, 3, 4))
        return torch.cat([x.mean((2, 3, 4)), change], 1)


def save_standin(path: Path, kind: str) -> str:
    """Write one of them as TorchScript; its path."""
    torch.jit.script({"inception": Inception, "i3d": I3D}[kind]()).save(str(path))
    return str(path)
