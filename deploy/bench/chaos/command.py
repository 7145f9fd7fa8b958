"""The chaos suite: schedules in one process, on real processes, and with the real stages."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from deploy.bench.bars import progress_bars
from deploy.bench.chaos.invariants import Findings
from deploy.bench.chaos.real_processes import LAYOUT, run_schedule
from deploy.bench.chaos.schedule import Fault, Schedule, draw
from deploy.bench.chaos.settable_clock import CLOCK, ClockFile
from deploy.bench.chaos.simulation import simulate
from deploy.bench.cluster import running_cluster
from deploy.bench.pushes import Pushes
from deploy.bench.results import keep, print_line

Figures = dict[str, Any]
_FIRST_REAL_SEED = 10_000


class Sizes(NamedTuple):
    """How many schedules of each kind."""

    simulated: int
    processes: int
    stages: int
    """With the real stages on a tiny model; needs torch."""


FULL = Sizes(simulated=220, processes=24, stages=3)
SHORT = Sizes(simulated=9, processes=1, stages=0)


class Ran(NamedTuple):
    """A schedule and what came of it."""

    kind: str
    schedule: Schedule
    findings: Findings


def run(sizes: Sizes, out: Path | None, work: Path | None = None) -> bool:
    """Run all of it and print one line of JSON; False when anything did not hold.

    With `out` the result is kept there. Below `work` everything happens, by default in a temporary
    directory.
    """
    with tempfile.TemporaryDirectory(prefix="latentwatch-chaos-", dir=work) as directory:
        root = Path(directory)
        root.chmod(0o755)  # PostgreSQL runs as another user
        ran = list(_all(sizes, root))
        resumed = _resumed(sizes.stages, root)
    line = _summary(ran, resumed)
    print_line(line)
    if out is not None:
        keep(out, "chaos", line | _details(ran, resumed))
    return line["lost"] == line["doubled"] == line["broken"] == 0 and line["resumed_equal"]


def _all(sizes: Sizes, root: Path) -> Iterator[Ran]:
    with progress_bars() as bars:
        task = bars.add_task("schedules", total=sizes.simulated + sizes.processes)
        for ran in chain(_simulated(sizes.simulated, root), _on_processes(sizes.processes, root)):
            bars.advance(task)
            if not ran.findings.is_clean:
                sys.stderr.write(f"{ran}\n")
            yield ran


def _simulated(count: int, root: Path) -> Iterator[Ran]:
    for seed in range(count):
        with tempfile.TemporaryDirectory(dir=root) as directory:
            schedule = draw(seed)
            yield Ran("simulated", schedule, simulate(schedule, Path(directory)))


def _on_processes(count: int, root: Path) -> Iterator[Ran]:
    if count == 0:
        return
    directory = root / "cluster"
    directory.mkdir()
    clock = ClockFile(directory / CLOCK)
    with running_cluster(directory, LAYOUT) as cluster:
        watched = cluster.settings.lines[0].directory
        assert watched is not None
        pushes = Pushes(watched)
        for seed in range(_FIRST_REAL_SEED, _FIRST_REAL_SEED + count):
            schedule = draw(seed)
            yield Ran("processes", schedule, run_schedule(cluster, clock, pushes, schedule))


def _resumed(count: int, root: Path) -> Figures:
    if count == 0:
        return {}
    from deploy.bench.chaos.real_stages import interrupted_as_undisturbed

    return interrupted_as_undisturbed(root / "stages", count)


def _summary(ran: list[Ran], resumed: Figures) -> Figures:
    found = [one.findings for one in ran]
    drawn = sum(len(one.schedule.faults) for one in ran)
    struck = sum(len(one.struck) for one in found)
    return {
        "benchmark": "chaos",
        "schedules": len(ran) + len(resumed),
        "faults": drawn + len(resumed),
        "struck": struck + len(resumed),
        "missed": drawn - struck,
        "stale_refused": sum(one.stale_refused for one in found),
        "versions": sum(one.schedule.pushes for one in ran) + len(resumed),
        "lost": sum(len(one.lost) for one in found),
        "doubled": sum(len(one.doubled) for one in found),
        "broken": sum(len(one.broken) for one in found),
        "resumed_equal": all(resumed.values()) and not any(one.unequal for one in found),
    }


def _details(ran: list[Ran], resumed: Figures) -> Figures:
    return {
        "kinds": dict(Counter(one.kind for one in ran)) | {"stages": len(resumed)},
        "by_fault": {
            kind: _by_fault([one for one in ran if one.kind == kind])
            for kind in ("simulated", "processes")
        },
        "stages": resumed,
    }


def _by_fault(ran: list[Ran]) -> dict[str, dict[str, int]]:
    drawn = Counter(fault for one in ran for _, fault in one.schedule.faults)
    struck = Counter(fault for one in ran for fault in one.findings.struck)
    return {
        fault.value: {"struck": struck[fault], "missed": drawn[fault] - struck[fault]}
        for fault in Fault
    }
