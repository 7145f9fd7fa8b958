"""How a block of vLLM hands on the residual stream, and how to read and change it there.

Most blocks return (output of the last sublayer, residual), and the stream is the sum; it is added
up inside the next block's norm. Others return the stream itself, some beside a second tensor that
is no part of it. What tells them apart is whether ``forward`` takes a ``residual``: summing every
pair would double-count. The boot checks prove the answer on the model itself.
"""

import inspect
from typing import Any, NamedTuple

from torch import Tensor, nn

from dfc.errors import ModelError


class Convention(NamedTuple):
    """Of one block. ``summed``: the stream is the sum of the first two outputs."""

    summed: bool

    def read(self, output: Any) -> Tensor:
        """The stream [lines, D] in the model's dtype: new memory where it is a sum, since the block
        above changes its inputs in place."""
        first = output[0] if isinstance(output, tuple) else output
        if not isinstance(first, Tensor):
            raise ModelError(
                f"a block returns {type(first).__name__}, not a tensor; this architecture is not "
                "supported"
            )
        x = first + output[1] if self._has_residual(output) else first
        return x.reshape(-1, x.shape[-1])

    def add(self, output: Any, delta_TD: Tensor) -> Any:
        """The block's output with the stream moved by ``delta_TD``, rounded once."""
        first = output[0] if isinstance(output, tuple) else output
        moved = (first.float() + delta_TD.reshape(first.shape)).to(first.dtype)
        return (moved, *output[1:]) if isinstance(output, tuple) else moved

    def replace(self, output: Any, lines_N: Tensor, x_ND: Tensor) -> Any:
        """The block's output with the stream at these lines replaced, exactly."""
        first = output[0] if isinstance(output, tuple) else output
        replaced = first.clone()
        replaced.reshape(-1, first.shape[-1])[lines_N] = x_ND.to(first)
        if not isinstance(output, tuple):
            return replaced
        if not self._has_residual(output):
            return (replaced, *output[1:])
        residual = output[1].clone()
        residual.reshape(-1, first.shape[-1])[lines_N] = 0
        return (replaced, residual, *output[2:])

    def _has_residual(self, output: Any) -> bool:
        return self.summed and isinstance(output, tuple) and output[1] is not None


def convention_of(block: nn.Module) -> Convention:
    """The convention of a block, from the signature of its ``forward``."""
    return Convention("residual" in inspect.signature(type(block).forward).parameters)


def find_blocks(model: nn.Module, n_layers: int) -> tuple[nn.Module, list[nn.Module]]:
    """The decoder and its blocks: the only ModuleList that is as long as the model has layers.

    Raises ModelError when there is none, or several.
    """
    found = [
        (module, list(child))
        for module in model.modules()
        for child in module.children()
        if isinstance(child, nn.ModuleList) and len(child) == n_layers
    ]
    if len(found) != 1:
        raise ModelError(
            f"{type(model).__name__} has {len(found)} lists of {n_layers} blocks instead of one; "
            "this architecture is not supported by the vLLM engine"
        )
    return found[0]
