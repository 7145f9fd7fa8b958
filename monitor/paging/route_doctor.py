"""Checks that every behaviour that a route names can be flagged by some suite of the recipe, and
says which critical alerts climb no ladder."""

from fnmatch import fnmatchcase

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.wording import duration
from monitor.paging.slack_doctor import Finding
from monitor.settings.alerts import AlertSettings
from monitor.settings.recipe import RecipeSettings
from monitor.settings.route_behaviours import behaviours_of


def examine_routes(alerts: AlertSettings, recipe: RecipeSettings) -> list[Finding]:
    """The globs of routes that fit nothing; nothing is said where a suite can't be read, which the
    check itself refuses."""
    measured = behaviours_of(recipe.suites)
    if measured is None:
        return []
    known = [OWN_WORDS, *measured]
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


def without_ladder(alerts: AlertSettings) -> list[Finding]:
    """The routes of critical alerts that call nobody else when nobody acknowledges. That may be
    meant, so it is told and is no problem."""
    return [
        Finding(
            True,
            f"route {number}",
            "has no ladder: a critical alert that nobody acknowledges is repeated every "
            f"{duration(route.repeat_seconds)}, and nobody else is called; to change that, set "
            f"alerts.routes[{number - 1}].ladder",
        )
        for number, route in enumerate(alerts.routes, start=1)
        if "critical" in route.severities and not route.ladder
    ]
