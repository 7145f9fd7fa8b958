"""The behaviours that a route may name: what some suite measures, and new habits."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from alerts.json_file import InvalidFileError
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.suite import load_suite
from monitor.settings.recipe import BUNDLED_SUITES


def behaviours_of(suites: Sequence[str]) -> list[str] | None:
    """What the entries of recipe.suites measure; None where one can't be read."""
    try:
        return [load_suite(Path(s)).behaviour if s.endswith(".json") else s for s in suites]
    except InvalidFileError:
        return None


def refuse_unmeasured(number: int, glob: str, suites: Sequence[str]) -> None:
    """Raise ValueError where `glob`, of the route `number`, fits no bundled suite and none of
    `suites`. Where one can't be read, which the check itself refuses, nobody knows."""
    known = [*BUNDLED_SUITES, OWN_WORDS]
    if any(fnmatchcase(name, glob) for name in known):
        return  # without reading files
    measured = behaviours_of(suites)
    if measured is not None and not any(fnmatchcase(name, glob) for name in measured):
        raise ValueError(
            f"alerts.routes: number {number}: no suite has a behaviour {glob!r}, so that the route "
            f"would never be taken; there are {', '.join(dict.fromkeys([*measured, *known]))}"
        )
