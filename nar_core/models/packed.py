"""Linear layers laid out once for inference: wide products, packed for a CPU, or in int8."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROWS = 32  # rows the layout is made for; measured to serve fronts and prefills of any size alike
LEVELS = 127  # of an int8 number on each side of zero


class PackedLinear(nn.Module):
    """A linear layer without bias for inference on a CPU.

    Unpacked, every call arranges the whole weight anew or falls back on slower kernels: for the few
    rows of a front that is most of the time.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        # Not a buffer: the layout is opaque, and can neither be moved nor saved.
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), ROWS)
        self.product = torch.ops.mkldnn._linear_pointwise.default

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x, self.packed, None, "none", [], "")


class Int8Linear(nn.Module):
    """A linear layer without bias whose weights and inputs are rounded to int8, for a CPU.

    A scale for each output and, when it is there, for each row of the input: what a row becomes
    does not depend on its neighbours in the batch.
    """

    def __init__(self, weight: Tensor):
        super().__init__()
        weight = weight.detach().float()
        scale = weight.abs().amax(1).clamp(min=1e-12) / LEVELS
        rounded = (weight / scale[:, None]).round().to(torch.int8)
        self.packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        # Rows are divided by their largest number, not by a step: the step is put in here.
        self.scale, self.zero = scale / LEVELS, torch.zeros(len(scale), dtype=torch.int64)

    def _product(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The product but for a factor of each row, and that factor [..., 1]."""
        largest = x.abs().amax(-1, keepdim=True).clamp_(min=1e-12)
        # The kernels want unsigned numbers; cutting off after adding a half is rounding.
        rounded = (x * (LEVELS / largest.float())).add_(128.5).to(torch.uint8)
        product = torch.ops.onednn.qlinear_pointwise(
            rounded, 1.0, 128, self.packed, self.scale, self.zero, None, 1.0, 0, x.dtype,
            "none", [], "",
        )  # fmt: skip
        return product, largest

    def forward(self, x: Tensor) -> Tensor:
        product, factor = self._product(x)
        return product.mul_(factor)

    def plus(self, x: Tensor, y: Tensor) -> Tensor:
        """`x + self(y)` in one operation more than the product."""
        product, factor = self._product(y)
        return torch.addcmul(x, product, factor)


def plus(x: Tensor, layer: nn.Module, y: Tensor) -> Tensor:
    """`x + layer(y)`."""
    return layer.plus(x, y) if isinstance(layer, Int8Linear) else x + layer(y)


def plus_(x: Tensor, layer: nn.Module, y: Tensor) -> Tensor:
    """As `plus`; `x` [B, n, D] may be written over, which spares a GPU an operation."""
    if (
        x.is_cuda
        and isinstance(layer, nn.Linear)
        and x.dtype == y.dtype == layer.weight.dtype  # which autocast may change
        and not torch.is_grad_enabled()
    ):
        x.view(-1, x.shape[-1]).addmm_(y.flatten(0, 1), layer.weight.t())
        return x
    return plus(x, layer, y)


def gated(gate: nn.Module, up: nn.Module | None, x: Tensor) -> Tensor:
    """`silu(gate(x)) * up(x)`; without `up`, `gate` is both, joined by `join`."""
    a, b = gate(x).chunk(2, -1) if up is None else (gate(x), up(x))
    return F.silu(a) * b


def join(gate: nn.Linear, up: nn.Linear) -> nn.Linear:
    """One layer that gives the outputs of both, one behind the other."""
    with torch.device("meta"):
        out = nn.Linear(gate.in_features, gate.out_features + up.out_features, bias=False)
    out.weight = nn.Parameter(torch.cat([gate.weight, up.weight]).detach(), requires_grad=False)
    return out


def can_pack(weight: Tensor) -> bool:
    """Whether this machine has kernels for packed weights of this kind."""
    if weight.device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if weight.dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32


def pack_linears(module: nn.Module, int8: bool = False) -> None:
    """Replace the linear layers inside `module`, one by one, so there is never a second copy.

    Gates are joined with what they gate on any device; the rest is for CPUs.
    """
    gate, up = getattr(module, "gate", None), getattr(module, "up", None)
    if isinstance(gate, nn.Linear) and isinstance(up, nn.Linear):
        setattr(module, "gate", join(gate, up))  # noqa: B010
        setattr(module, "up", None)  # noqa: B010
    for name, child in module.named_children():
        if isinstance(child, nn.Linear) and child.bias is None:
            if int8:
                setattr(module, name, Int8Linear(child.weight))
            elif can_pack(child.weight):
                setattr(module, name, PackedLinear(child.weight))
        else:
            pack_linears(child, int8)


def release_mapping(module: nn.Module) -> None:
    """Copy the parameters that are left, so that a mapped weight file can be let go of.

    One small tensor would otherwise keep the pages of the whole file resident beside the packed
    copies.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()
