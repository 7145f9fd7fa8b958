"""Checks that every behaviour that a route names can be flagged by some suite of the recipe."""

from fnmatch import fnmatchcase
from pathlib import Path

from alerts.json_file import InvalidFileError
from alerts.suite import load_suite
from monitor.alert_settings import AlertSettings
from monitor.recipe_settings import RecipeSettings
from monitor.slack_doctor import Finding

OWN_WORDS = "own_words"
"""As routes name a new habit, which no suite measures."""


def examine_routes(alerts: AlertSettings, recipe: RecipeSettings) -> list[Finding]:
    """The globs of routes that fit nothing; nothing is said where a suite can't be read, which the
    check itself refuses."""
    known = [OWN_WORDS]
    for suite in recipe.suites:
        try:
            known.append(load_suite(Path(suite)).behaviour if suite.endswith(".json") else suite)
        except InvalidFileError:
            return []
    return [
        Finding(
            False,
            f"route {number}",
            f"no suite of recipe.suites has a behaviour {glob!r}; there are {', '.join(known)}",
        )
        for number, route in enumerate(alerts.routes, start=1)
        for glob in route.behaviours
        if not any(fnmatchcase(name, glob) for name in known)
    ]
