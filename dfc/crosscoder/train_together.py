"""Trains one crosscoder in several processes, each on a GPU of its own where there are GPUs."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.train import TrainedDfc, load_trained
from dfc.death import die_with_parent

TRAINED = "trained"
_TENSORS, _TASK, _ERRORS = "tensors.safetensors", "task.json", "errors.txt"
_ERROR_SHOWN = 2000


def train_together(
    base_TD: Tensor,
    candidate_TD: Tensor,
    config: DfcConfig,
    *,
    seed: int,
    processes: int,
    moving_RD: Tensor | None = None,
    weight_T: Tensor | None = None,
    checkpoint: Path,
    scratch: Path,
    progress: Callable[[int, int], None] | None = None,
) -> TrainedDfc:
    """As `train` with the whole batch, up to rounding, in as many `processes` of this host.

    In the directory `scratch` they find a copy of the states, of which each loads all. What is
    saved at `checkpoint` a run of any number of processes goes on with. Raises RuntimeError with
    the last lines of their errors when they fail. A KeyboardInterrupt or SystemExit of `progress`
    saves the run first.
    """
    directory = Path(tempfile.mkdtemp(prefix=".together-", dir=scratch))
    try:
        tensors = {"base": base_TD, "candidate": candidate_TD}
        tensors |= {"moving": moving_RD} if moving_RD is not None else {}
        tensors |= {"weight": weight_T} if weight_T is not None else {}
        save_file({k: v.contiguous() for k, v in tensors.items()}, directory / _TENSORS)
        task = {
            "config": config.model_dump(mode="json"),
            "seed": seed,
            "checkpoint": str(checkpoint),
        }
        (directory / _TASK).write_text(json.dumps(task))
        _run(directory, processes, progress)
        return load_trained(directory / TRAINED)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def read_task(directory: Path) -> dict[str, Any]:
    """The arguments of `train` that `train_together` has written."""
    task = json.loads((directory / _TASK).read_text())
    tensors = load_file(directory / _TENSORS)
    return {
        "base_TD": tensors["base"],
        "candidate_TD": tensors["candidate"],
        "config": DfcConfig(**task["config"]),
        "seed": task["seed"],
        "moving_RD": tensors.get("moving"),
        "weight_T": tensors.get("weight"),
        "checkpoint": Path(task["checkpoint"]),
    }


def _run(directory: Path, processes: int, progress: Callable[[int, int], None] | None) -> None:
    with (directory / _ERRORS).open("w") as errors:
        running = subprocess.Popen(
            [
                *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
                # Its own name may stand for an address that can't be reached from here.
                *("--local-addr", "127.0.0.1", "--log-dir", str(directory)),
                *("--nproc-per-node", str(processes), "--no-python"),
                *(sys.executable, "-m", "dfc.crosscoder.train_part", str(directory)),
            ],
            stdin=subprocess.PIPE,  # ends with this process, and they with it
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(processes),
            # A signal to the group of this process is for it alone: it sees to the others.
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),
        )
        assert running.stdout is not None and running.stdin is not None
        try:
            for line in running.stdout:
                if progress is not None:
                    progress(*json.loads(line))
        except BaseException:
            running.send_signal(signal.SIGTERM)
            raise
        finally:
            running.wait()
            running.stdin.close()
    if running.returncode:
        said = (directory / _ERRORS).read_text(errors="replace")[-_ERROR_SHOWN:]
        raise RuntimeError(f"{processes} processes that train together failed:\n{said}")


def _environment(processes: int) -> dict[str, str]:
    """They find each other at the loopback interface, and share the cores."""
    threads = max(1, len(os.sched_getaffinity(0)) // processes)
    return {"OMP_NUM_THREADS": str(threads)} | os.environ | {"GLOO_SOCKET_IFNAME": "lo"}
