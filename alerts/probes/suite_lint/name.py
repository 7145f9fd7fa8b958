"""Whether a suite can have its name."""

from collections.abc import Iterator

from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.suite import Suite, bundled_suites
from alerts.probes.suite_lint.finding import Finding


def taken_name(suite: Suite) -> Iterator[Finding]:
    """A name that a recipe refuses, or that a bundled suite has as well."""
    if suite.behaviour == OWN_WORDS:
        yield Finding(
            level="error",
            code="kept-name",
            field="behaviour",
            said=f"{OWN_WORDS!r} is kept for what models say in their own answers",
            remedy="choose another name",
        )
    elif bundled_suites().get(suite.behaviour, suite) != suite:
        yield Finding(
            code="bundled-name",
            field="behaviour",
            said="a bundled suite has this name, too: a recipe can name only one of the two",
            remedy="choose another name, unless this one is to take its place",
        )
