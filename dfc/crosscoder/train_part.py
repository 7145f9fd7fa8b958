"""One of several processes that train a crosscoder together; `torchrun` starts them.

    torchrun --standalone --nproc-per-node 2 -m dfc.crosscoder.train_part DIRECTORY

The directory is that of `dfc.crosscoder.train_together`, and has to be seen by all of them. The
first process tells its steps as lines of JSON on standard output and, on SIGTERM, saves the run at
its next step; the others end with it. All end when standard input does: who started `torchrun` has
its other end, and is gone then.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.errors import record

from dfc.crosscoder import replicas
from dfc.crosscoder.train import save_trained, train
from dfc.crosscoder.train_together import TRAINED, read_task

STOPPED = 75
"""Exit code after SIGTERM."""


@record  # has torchrun tell the error
def main(directory: Path) -> None:
    """Train what lies in `directory`; the result lies there too."""
    threading.Thread(target=_die_with_starter, daemon=True).start()
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    def tell(done: int, total: int) -> None:
        if replicas.is_first():
            sys.stdout.write(f"{json.dumps([done, total])}\n")
            sys.stdout.flush()
            if stopping:
                raise SystemExit(STOPPED)

    signal.signal(signal.SIGTERM, stop)
    device = _device()
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    trained = train(**read_task(directory), device=device, progress=tell)
    if replicas.is_first():
        save_trained(directory / TRAINED, trained)
    dist.destroy_process_group()


def _die_with_starter() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def _device() -> str:
    """A GPU of its own, where this host has so many."""
    number = int(os.environ["LOCAL_RANK"])
    if int(os.environ["LOCAL_WORLD_SIZE"]) > torch.cuda.device_count():
        return "cpu"
    torch.cuda.set_device(number)
    return f"cuda:{number}"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
