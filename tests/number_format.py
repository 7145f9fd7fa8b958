"""In which format the models of a test run, whatever the processor multiplies."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch


def multiplies_bfloat16(patched: pytest.MonkeyPatch, answer: bool) -> None:
    """Let the processor multiply bfloat16 by itself, or not."""
    patched.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: answer)


@contextmanager
def in_float32() -> Iterator[None]:
    """Everything runs in float32, in the processes that are started as well.

    For what is told to the last digit, and for models so small that rounding is as large as what
    they say.
    """
    with pytest.MonkeyPatch.context() as patched:
        multiplies_bfloat16(patched, False)
        patched.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
        yield
