"""Linear layers with their weights laid out once for the CPU's matrix kernels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

ROWS = 32  # rows the layout is made for; measured to serve fronts and prefills of any size alike


class PackedLinear(nn.Module):
    """A linear layer without bias for inference on a CPU.

    Unpacked, every call arranges the whole weight anew or falls back on slower kernels: for the few
    rows of a front that is most of the time.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        # Not a buffer: the layout is opaque, and can neither be moved nor saved.
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, None, "none", [], "")


def can_pack(weight: Tensor) -> bool:
    """Whether this machine has kernels for packed weights of this kind."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32


def pack_linears(module: nn.Module) -> None:
    """Replace the linear layers inside `module`, one by one, so there is never a second copy."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and child.bias is None:
            if can_pack(child.weight):
                setattr(module, name, PackedLinear(child.weight))
        else:
            pack_linears(child)


def release_mapping(module: nn.Module) -> None:
    """Copy the parameters that are left, so that a mapped weight file can be let go of.

    One small tensor would otherwise keep the pages of the whole file resident beside the packed
    copies.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()
