"""A process tells what memory it takes at any moment, also while torch is being imported."""

import sys
from types import ModuleType

import pytest

from workers.processes.taken import taken


def cuda(**parts: object) -> ModuleType:
    module = ModuleType("torch.cuda")
    vars(module).update(parts)
    return module


def test_torch_may_be_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", ModuleType("torch"))
    monkeypatch.delitem(sys.modules, "torch.cuda", raising=False)
    assert taken().keys() == {"memory"}
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda())
    assert taken().keys() == {"memory"}


def test_a_gpu_that_is_not_in_use_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.cuda", cuda(is_initialized=lambda: False))
    assert (taken()["memory"] or 0) > 1 << 20 and len(taken()) == 1


def test_what_others_use_of_the_gpu_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    used = cuda(is_initialized=lambda: True, mem_get_info=lambda: (30, 100))
    monkeypatch.setitem(sys.modules, "torch.cuda", used)
    assert (taken()["gpu_memory_used"], taken()["gpu_memory"]) == (70, 100)
