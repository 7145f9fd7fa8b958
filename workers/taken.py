"""How much memory this process takes, of its host and of its GPU."""

import sys

import psutil


def taken() -> dict[str, int | None]:
    """As it is now, in bytes, by the fields of `monitor.readings.Readings`.

    Loads nothing and starts no GPU: who only reads must not take memory itself.
    """
    found: dict[str, int | None] = {"memory": psutil.Process().memory_info().rss}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        free, total = torch.cuda.mem_get_info()
        found |= {"gpu_memory_used": total - free, "gpu_memory": total}
    return found
