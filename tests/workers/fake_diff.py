"""Compares nothing: what it does follows from the name of the candidate.

slow-* takes steps until a file `go` appears beside it, and leaves another one where it is told to
stop; hang-* does not even do that, and stuck-* takes none, while its process says that it is alive.
killed-* dies as if it were out of memory, and orphans-* leaves a child behind as it does; broken-*
raises, refused-* can't be compared, deaf-* does not stop, reaching-* tries a port of this host. Of
wanting-* a stage fails for want of memory, and so does one of shifted-*, after it was flagged; of
faltering-* one fails the first time; drifting-* is flagged against a base called anchor. All others
pass. filling-* keeps a result of 2 MiB, opening-* 300 files, growing-* takes all the memory that it
gets. Every start is noted in a file beside the candidate. What is kept as the features of a version
is its name, and the earlier ones are told.
"""

import mmap
import os
import resource
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from alerts.evidence import Evidence
from alerts.verdict import EarlierVersion
from monitor.errors import LatentwatchError
from monitor.settings import Settings
from tests.alerts import samples
from workers.keeping.store import LocalStore
from workers.processes.diff_process import Assignment, serve
from workers.progress import DiffProgress
from workers.verdicts.outcome import Outcome


def compare(assignment: Assignment, settings: Settings, progress: DiffProgress) -> Outcome:
    job = assignment.job
    candidate = job.candidate.path
    kind = candidate.name.split("-")[0]
    with (candidate.parent / f"{candidate.name}.starts").open("a") as starts:
        starts.write(f"{os.getpid()} {sorted(os.environ)}\n")
    progress.begin("train")
    print("what a library prints is no line of ours")
    if kind == "reaching":
        (candidate.parent / "reached").write_text(reach((candidate.parent / "port").read_text()))
    if kind == "orphans":
        subprocess.Popen(["sleep", "600"])
    if kind in ("killed", "orphans"):
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "broken":
        raise RuntimeError("CUDA error: device-side assert triggered")
    if kind == "filling":
        with LocalStore(settings.store_dir).put("a") as directory:
            (directory / "result").write_bytes(bytes(2 << 20))
    if kind == "opening":
        opened = [open(os.devnull) for _ in range(300)]  # noqa: SIM115
        raise AssertionError(f"{len(opened)} files could be opened")
    if kind == "growing":
        taken = [mmap.mmap(-1, 1 << 30) for _ in range(64)]  # reserved, and never touched
        raise AssertionError(f"{len(taken)} GiB could be had")
    if kind == "refused":
        raise LatentwatchError("no such architecture")
    if kind == "stuck":
        threading.Event().wait()
    if kind == "hang":
        os.kill(os.getpid(), signal.SIGSTOP)
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    step = 0
    try:
        while kind in ("slow", "deaf") and not (candidate.parent / "go").exists():
            step += 1
            progress.step("steps", min(step, 9999), 10_000)
            time.sleep(0.05)
    except SystemExit:
        (candidate.parent / f"{candidate.name}.saved").touch()
        raise
    progress.end("train", 1.0, reused=False)
    failure = None
    sample = samples.passed()
    if kind in ("wanting", "shifted"):
        failure = "The stage train failed: OutOfMemoryError: CUDA out of memory. Tried to allocate"
        sample = samples.flagged() if kind == "shifted" else samples.undecided()
    if kind == "drifting" and job.base.path.name == "anchor":
        sample = samples.flagged()
    if kind == "faltering" and starts_of(candidate) == 1:
        failure, sample = "The stage train failed: OSError: no such device", samples.undecided()
    verdict = sample.model_copy(
        update={
            "line": job.line,
            "base": sample.base.model_copy(update={"digest": job.base.content_digest}),
            "candidate": sample.candidate.model_copy(
                update={"digest": job.candidate.content_digest}
            ),
            "earlier": [
                EarlierVersion(name=name, not_compared=path and path.read_text())
                for name, path in job.earlier
            ],
        }
    )
    return Outcome(verdict, Evidence(), failure, candidate.name.encode())


def starts_of(candidate: Path) -> int:
    return len((candidate.parent / f"{candidate.name}.starts").read_text().splitlines())


def reach(port: str) -> str:
    """What comes of connecting to a port of this host, and the limit on dumps."""
    core, _ = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        socket.create_connection(("127.0.0.1", int(port)), timeout=5.0).close()
    except OSError as error:
        return f"{error}; core {core}"
    return f"connected; core {core}"


if __name__ == "__main__":
    serve(compare)
