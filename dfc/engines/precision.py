"""In which number format the models run: bfloat16 where the processor multiplies it, else float32.

Emulated bfloat16 is no gain: on a processor with AVX2 alone its matrix products take six times as
long as those of float32.
"""

import torch


def native_dtype(device: str = "cpu") -> torch.dtype:
    """The shorter of bfloat16 and float32 in which ``device`` multiplies matrices by itself.

    The answer is that of the hardware and never of its load, so that all processes of one machine
    agree.
    """
    if torch.device(device).type != "cpu":
        return torch.bfloat16
    # The question exists only where torch was built with oneDNN.
    native = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def native_autocast(device: str) -> torch.autocast:
    """Run the products of a block in ``native_dtype``."""
    short = native_dtype(device) is torch.bfloat16
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=short)
