"""How many torch threads to use: as many as there are idle cores.

Two threads on a busy two-core machine can be eight times slower than one, because every parallel
region waits for the thread that does not get its core.
"""

import psutil
import torch


def free_cores(interval: float = 0.3) -> int:
    """Cores that this process may use and that were idle over ``interval`` seconds; at least 1."""
    process = psutil.Process()
    usable = process.cpu_affinity() if hasattr(process, "cpu_affinity") else None
    load = psutil.cpu_percent(interval, percpu=True)
    percent = [load[core] for core in usable or range(len(load)) if core < len(load)]
    return max(1, round(sum(100.0 - p for p in percent) / 100.0))


def use_threads(threads: int | None = None) -> int:
    """Set torch's thread count to ``threads``, or to the free cores, and return it."""
    count = free_cores() if threads is None else threads
    if count < 1:
        raise ValueError(
            f"threads must be at least 1, got {count}; leave it out for the free cores"
        )
    torch.set_num_threads(count)
    return count
