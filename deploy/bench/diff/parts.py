"""What was measured of a run, in parts that are kept until the whole run is done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from deploy.bench.diff.checks import Check
from deploy.bench.machine import made_with
from deploy.bench.results import Figures
from deploy.demo import atomic
from dfc.canonical import digest_of
from dfc.threads import free_cores


class Part(NamedTuple):
    """Checks that only each other's results help, and what they were made with."""

    checks: list[Check]
    made_with: Figures


class Parts:
    """The parts of one run in a directory; without one nothing is kept."""

    def __init__(self, directory: Path | None, made_of: object) -> None:
        self._directory, self._digest = directory, digest_of(made_of)[:12]

    def part(self, name: str, measure: Callable[[], list[Check]]) -> Part:
        """The part called `name`, measured where a run that is made of the same didn't yet."""
        path = self._path(name)
        if path is not None and path.exists():
            kept = json.loads(path.read_text(encoding="utf-8"))
            return Part([Check(**check) for check in kept["checks"]], kept["made_with"])
        part = Part([], made_with(free_cores()))
        part.checks.extend(measure())
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            checks = [check._asdict() for check in part.checks]
            atomic.write_text(path, json.dumps({"checks": checks, "made_with": part.made_with}))
        return part

    def forget(self, *names: str) -> None:
        """The next run measures these parts anew."""
        for path in map(self._path, names):
            if path is not None:
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path | None:
        return self._directory and self._directory / f"{name}-{self._digest}.json"
