"""Where a feature was seen before, and with what it was compared, in sentences."""

from collections.abc import Callable

from alerts.plain_text import clip
from alerts.records.feature import Feature
from alerts.verdict import Verdict
from alerts.wording import number

SHOWN = 3
"""Versions that are named of one feature."""
LONGEST = 240
"""Characters of a label."""


def seen_before(feature: Feature, named: Callable[[str], str]) -> str:
    """In which earlier versions, the newest first; empty where in none. `named` makes a version's
    name fit for where it is shown."""
    names = [named(before.version) for before in feature.seen_before or []]
    more = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def likeness(feature: Feature) -> str:
    """How like the feature that was seen last it is; empty where none was."""
    if not feature.seen_before:
        return ""
    last = feature.seen_before[0]
    label = f", “{clip(last.label, LONGEST)}”" if last.label else ""
    return (
        f"there {last.feature}{label}; what both write has a cosine of {number(last.cosine)}, "
        f"where they fire a correlation of {number(last.correlation)}"
    )


def compared_with(verdict: Verdict) -> str:
    """With which versions' features the new ones were compared; empty where the line has none."""
    compared = [version.name for version in verdict.earlier if version.not_compared is None]
    sentences = []
    if compared:
        sentences.append(f"New features were compared with those of {', '.join(compared)}.")
    sentences += [
        f"New features were not compared with those of {version.name}: {version.not_compared}."
        for version in verdict.earlier
        if version.not_compared is not None
    ]
    return " ".join(sentences)
