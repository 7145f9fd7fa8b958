"""Where models run and crosscoders are trained: on the GPUs that this process sees, else on the
processor."""

import torch


def native_device(number: int = 0) -> str:
    """The device for the ``number``-th of several models, as torch names it: they share the GPUs in
    turn, so that two have one each where there are two."""
    count = torch.cuda.device_count()
    return f"cuda:{number % count}" if count else "cpu"
