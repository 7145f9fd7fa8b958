"""The probe suites that can be asked for beside a verdict: those that operators wrote for the
recipe, and the bundled ones."""

import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from alerts.json_file import InvalidFileError
from alerts.probes.suite import bundled_suites, load_suite

logger = logging.getLogger(__name__)


def own_suites(entries: Sequence[str]) -> dict[str, str]:
    """The files among the `entries` of recipe.suites, by the behaviour that each measures. One that
    can't be read can't be asked for, which the log says."""
    found = {}
    for entry in entries:
        if entry.endswith(".json"):
            try:
                suite = load_suite(Path(entry))
            except InvalidFileError as error:
                logger.warning("a suite of the recipe can't be asked for: %s", error)
                continue
            if suite.role == "behaviour":
                found[suite.behaviour] = entry
    return found


@cache  # Slack waits three seconds for a dialog, and the files never change
def bundled_behaviours() -> tuple[str, ...]:
    """What the bundled suites measure, controls excepted."""
    return tuple(name for name, suite in bundled_suites().items() if suite.role == "behaviour")


def entry_of(entries: Sequence[str], behaviour: str) -> str:
    """As recipe.suites names the suite for `behaviour`: the operator's file before the bundled
    one."""
    return own_suites(entries).get(behaviour, behaviour)
