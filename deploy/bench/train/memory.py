"""The most memory that one implementation takes, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

from deploy.bench.train.pair import Size, made_up, start
from dfc.allocator import keep_memory
from dfc.threads import use_threads

Which = Literal["ours", "naive"]
STEPS = 3


def peak_mb(which: Which, size: Size, threads: int) -> float:
    """Peak resident memory of a process that takes some steps, megabytes, torch and data
    included. RuntimeError with the process's last words if it dies."""
    command = [sys.executable, "-m", __name__, json.dumps([which, list(size), threads])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{which} at {size} ended with {done.returncode}: {done.stderr[-400:]}")
    return float(done.stdout)


def _main() -> None:
    which, size, threads = json.loads(sys.argv[1])
    keep_memory()
    use_threads(threads)
    size = Size(*size)
    data = made_up(size, 1, seed=0)
    pair = start(size, size.config(STEPS), seed=0)
    run = getattr(pair, which)
    del pair  # the other one's weights, which were only needed to start alike
    for step in range(STEPS):
        run.update(*data.batch(step, size.batch), data.variance)
    sys.stdout.write(str(_most_mb()))


def _most_mb() -> float:
    """Of this program. What getrusage says is at least what its parent had when it forked."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status holds no VmHWM: memory can't be measured here")


if __name__ == "__main__":
    _main()
