"""Devices apart from the processor, on a machine that has none.

Tensors on them are computed by the processor, with the same numbers, but claim to lie on ``far:0``
or ``far:1``; as on GPUs, what lies on different devices can't meet, and reading it on the processor
takes a copy. What is not shown: speed, and what a real GPU has no kernel for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

FAR = "far"


class _Backend(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


_setup_privateuseone_for_python_backend(FAR, _Backend())
# Autocasting there changes nothing, so that the numbers stay those of the processor.
_AUTOCAST = torch.library.Library("_", "IMPL")
_AUTOCAST.fallback(torch.library.fallthrough_kernel, "AutocastPrivateUse1")

_TENSOR = torch.tensor
_aten = torch.ops.aten
_MAY_MEET = {_aten.copy_.default, _aten._to_copy.default}
_INDEXING = {_aten.index.Tensor, _aten.index_put.default, _aten._index_put_impl_.default}
"""Takes indices from the processor too, as torch does for every device."""
_READING = {_aten._local_scalar_dense.default, _aten.equal.default, _aten.is_nonzero.default}
_SIZED_BY_NUMBERS = {
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten._unique2.default,
    _aten.repeat_interleave.Tensor,
    _aten.bincount.default,
}
"""How large what they return is the processor has to be told before it can go on."""

waits: list[str] = []
"""Every operation so far for whose result the processor would have waited."""


class FarTensor(Tensor):
    """A tensor whose numbers ``near`` lie elsewhere than it says."""

    __torch_function__ = torch._C._disabled_torch_function_impl
    near: Tensor

    def __new__(cls, near: Tensor, device: torch.device) -> "FarTensor":
        made: FarTensor = Tensor._make_wrapper_subclass(
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=device,
        )
        made.near = near
        return made

    def tolist(self) -> Any:
        waits.append("tolist")
        return self.near.tolist()

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


class _Dispatch(TorchDispatchMode):
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return _run(func, args, kwargs or {})


def _from_literals(*args: Any, device: Any = None, **kwargs: Any) -> Tensor:
    """Numbers of Python are first put down on the processor: torch would ask the backend."""
    return _TENSOR(*args, **kwargs).to(device)


@contextmanager
def far_devices() -> Iterator[None]:
    """Inside, ``far:0`` and ``far:1`` are devices."""
    with _Dispatch(), patch.object(torch, "tensor", _from_literals):
        yield


def _run(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tensors = [x for x in tree_iter((args, kwargs)) if isinstance(x, Tensor)]
    devices = {x.device for x in tensors if x.dim() > 0 or isinstance(x, FarTensor)}
    if func in _INDEXING:
        devices = {args[0].device} | {d for d in devices if d.type == FAR}
    if len(devices) > 1 and func not in _MAY_MEET:
        raise RuntimeError(f"{func} of tensors on {', '.join(sorted(map(str, devices)))}")
    named = kwargs.get("device")
    if func is _aten.copy_.default:
        target = args[0].device
    elif named is not None:
        target = torch.device(named)
    else:
        target = devices.pop() if devices else torch.device("cpu")
    if named is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    if _waits(func, args, tensors, target):
        waits.append(str(func))
    found = func(*tree_map(_near, args), **tree_map(_near, kwargs))
    if target.type != FAR or func in _READING:
        return found
    whose = {id(x.near): x for x in tensors if isinstance(x, FarTensor)}

    def far(x: Any) -> Any:
        # What an operation changes in place stays the tensor that it was.
        if not isinstance(x, Tensor):
            return x
        return whose[id(x)] if id(x) in whose else FarTensor(x, target)

    return tree_map(far, found)


def _waits(func: Callable[..., Any], args: Any, tensors: list[Tensor], target: Any) -> bool:
    if not any(isinstance(x, FarTensor) for x in tensors):
        return False
    mask = func in _INDEXING and any(i is not None and i.dtype == torch.bool for i in args[1])
    brought = func in _MAY_MEET and target.type != FAR
    return func in _READING | _SIZED_BY_NUMBERS or mask or brought


def _near(x: Any) -> Any:
    return x.near if isinstance(x, FarTensor) else x
