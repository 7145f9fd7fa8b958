"""Many versions pushed at once: all are decided, and what the control plane needs for that."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
from sqlalchemy import select

from deploy.bench.bars import progress_bars
from deploy.bench.chaos import invariants
from deploy.bench.cluster import Cluster, Layout, running_cluster
from deploy.bench.load.process import CLAIMS
from deploy.bench.pushes import Pushes
from deploy.bench.results import keep, print_line
from monitor.database.schema import Diff, Version
from workers.keeping.store import LocalStore

Figures = dict[str, Any]
MEGABYTE = 1e6


class Size(NamedTuple):
    """How much is pushed, how fast, and how long it may take to decide it all."""

    lines: int
    versions_per_line: int
    push_seconds: float
    workers: int
    patience_seconds: float


FULL = Size(20, 25, 60.0, 4, 3600.0)
SHORT = Size(2, 2, 1.0, 2, 120.0)


def run(size: Size, out: Path | None, work: Path | None = None) -> bool:
    """Push, wait until all is decided and print one line of JSON; False when something is lost.

    With `out` the result is kept there; everything happens below `work`, by default in a temporary
    directory.
    """
    names = tuple(f"line-{number:02}" for number in range(size.lines))
    layout = Layout("deploy.bench.load.process", 1, 1, size.workers, names)
    with tempfile.TemporaryDirectory(prefix="latentwatch-load-", dir=work) as directory:
        root = Path(directory)
        root.chmod(0o755)  # PostgreSQL runs as another user
        (root / CLAIMS).mkdir()
        lines = [Pushes(root / name, 10_000 * n) for n, name in enumerate(names)]
        with running_cluster(root, layout) as cluster, _memory(cluster) as peaks:
            began = time.monotonic()
            pushed_at = _push(lines, size)
            _wait(cluster, pushed_at, size)
            seconds = time.monotonic() - began
            figures = _figures(cluster, pushed_at)
    line = {"benchmark": "load", **figures, "peak_mb": round(peaks["sum"] / MEGABYTE)}
    print_line(line)
    if out is not None:
        peak_mb = {role: round(size / MEGABYTE) for role, size in peaks.items()}
        keep(out, "load", line | {"seconds": seconds, "peak_mb_by_role": peak_mb})
    return line["decided"] == line["versions"] and line["doubled"] == 0


def _push(lines: list[Pushes], size: Size) -> dict[str, float]:
    """The time of each push, by its digest."""
    pause = size.push_seconds / (size.lines * size.versions_per_line)
    due, pushed_at = time.monotonic(), {}
    for number in range(size.versions_per_line):
        for line in lines:
            due += pause
            time.sleep(max(0.0, due - time.monotonic()))
            pushed_at[line.push(f"v{number:03}")] = time.time()
    return pushed_at


def _wait(cluster: Cluster, pushed_at: dict[str, float], size: Size) -> None:
    gives_up_at = time.monotonic() + size.patience_seconds
    with progress_bars() as bars:
        task = bars.add_task("decided", total=len(pushed_at))
        while time.monotonic() < gives_up_at:
            with cluster.sessions() as session:
                left = len(invariants.unsettled(session, pushed_at))
            bars.update(task, completed=len(pushed_at) - left)
            if left == 0:
                return
            time.sleep(1.0)


def _figures(cluster: Cluster, pushed_at: dict[str, float]) -> Figures:
    with cluster.sessions() as session:
        found = invariants.look(session, set(pushed_at), LocalStore(cluster.settings.store_dir))
        registered = dict(
            session.execute(select(Version.content_digest, Version.registered_at)).all()
        )
        waits = session.execute(select(Diff.queued_at, Diff.finished_at)).all()
    claims = [
        float(line)
        for file in (cluster.directory / CLAIMS).iterdir()
        for line in file.read_text().split()
    ]
    seen = [registered[content] - at for content, at in pushed_at.items() if content in registered]
    return {
        "versions": found.versions,
        "decided": found.decided,
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "claims": len(claims),
        "claim_p50_ms": _percentile(claims, 50, 1000.0),
        "claim_p95_ms": _percentile(claims, 95, 1000.0),
        "seen_p95_s": _percentile(seen, 95),
        "queued_to_decided_p95_s": _percentile([e - b for b, e in waits if e is not None], 95),
    }


def _percentile(values: list[float], percent: float, scale: float = 1.0) -> float | None:
    return round(float(np.percentile(values, percent)) * scale, 1) if values else None


@contextmanager
def _memory(cluster: Cluster) -> Iterator[dict[str, float]]:
    """The largest memory of each kind of process, and of all together, in bytes; without the
    processes that compare, and counting what a forked process shares twice."""
    peaks: dict[str, float] = {"sum": 0.0}
    ending = threading.Event()

    def sample() -> None:
        while not ending.wait(1.0):
            everything = 0.0
            for role, processes in (
                ("watch", cluster.processes("watch")),
                ("reconcile", cluster.processes("reconcile")),
                ("worker", cluster.processes("worker")),
                ("pool process", cluster.pool_processes()),
            ):
                for process in processes:
                    with suppress(psutil.NoSuchProcess):
                        size = process.memory_info().rss
                        peaks[role] = max(peaks.get(role, 0.0), size)
                        everything += size
            peaks["sum"] = max(peaks["sum"], everything)

    sampler = threading.Thread(target=sample, name="memory")
    sampler.start()
    try:
        yield peaks
    finally:
        ending.set()
        sampler.join()
