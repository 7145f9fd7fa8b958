"""Want of memory is told as such, by whatever raised it."""

import pytest
import torch

from workers.processes.memory import want_of_memory


@pytest.mark.parametrize(
    "error, place",
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "the GPU"),
        (MemoryError(), "the host"),
        (MemoryError("Unable to allocate 8 GiB"), "the host"),
        (OSError(12, "Cannot allocate memory"), "the host"),
        (
            RuntimeError(
                "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate "
                "memory: you tried to allocate 40000000000 bytes. Error code 12 (Cannot allocate"
            ),
            "the host",
        ),
    ],
)
def test_it_says_what_is_wanting_and_where(error: Exception, place: str) -> None:
    raised = f"{type(error).__name__}: {error}"
    outside, inside = want_of_memory(raised), want_of_memory(f"The stage train failed: {raised}")
    assert outside is not None and outside.startswith(f"too little memory on {place} (")
    assert inside is not None and f"on {place}, in the stage train (" in inside
    assert inside.endswith("or compare where there is more")


def test_other_failures_are_left_alone() -> None:
    assert want_of_memory("OSError: [Errno 2] No such file or directory: 'a'") is None
    assert want_of_memory("RuntimeError: CUDA error: device-side assert triggered") is None
