"""How much memory this process takes, of its host and of its GPU."""

import sys

import psutil


def taken() -> dict[str, int | None]:
    """As it is now, in bytes, by the fields of `monitor.jobs.readings.Readings`.

    Loads nothing and starts no GPU: who only reads must not take memory itself.
    """
    found: dict[str, int | None] = {"memory": psutil.Process().memory_info().rss}
    cuda = sys.modules.get("torch.cuda")
    # Another thread may be importing it: then it is there and has no parts yet.
    is_initialized = getattr(cuda, "is_initialized", None)
    if cuda is not None and is_initialized is not None and is_initialized():
        free, total = cuda.mem_get_info()
        found |= {"gpu_memory_used": total - free, "gpu_memory": total}
    return found
