"""From stored findings to one row per method: what it finds on the report half, at what cost.

Pure: a stored comparison in, figures out. A method that has no rule of its own flags what scores
higher than every benign version of the tuning half; nothing of the report half enters.
"""

from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from deploy.bench.rivals.record import OURS, Compared, Finding, Half, Kind, Mediated


class Row(NamedTuple):
    """One method on the report half; None is not measured, or not a question for this method."""

    method: str
    threshold: float | None
    """Of the score; None for a method with a rule of its own."""
    nulls: int
    """Benign versions of the tuning half behind the threshold: one more null would exceed it with
    a chance of 1 / (nulls + 1)."""
    planted: int
    flagged: int | None
    without_suite: int
    """Of the planted, those whose behaviour no suite asks for."""
    without_suite_flagged: int | None
    named: int | None
    """Planted and flagged for the right behaviour: by its name, or because the best five directions
    remove more of that shift than the control."""
    diluted: int
    diluted_flagged: int | None
    benign: int
    false_flags: int | None
    best: float | None
    """Medians over the planted versions, as parts of the ceiling."""
    five: float | None
    everything: float | None
    above_control: float | None
    """Share of the plants with causal figures whose best five remove more than the control."""
    nll_rise_max: float | None
    seconds: float | None
    """Median over versions, with the steering where there is any."""
    cost: float | None
    """Median of the seconds as a part of ours on the same version."""


def rows(versions: Iterable[Compared]) -> list[Row]:
    """One row per method, in the order in which the first version has them."""
    known = list(versions)
    methods = list(dict.fromkeys(name for version in known for name in version.findings))
    return [_row(method, [v for v in known if method in v.findings]) for method in methods]


def threshold(method: str, versions: Iterable[Compared]) -> tuple[float | None, int]:
    """The highest score of a benign version of the tuning half, and of how many it is that."""
    scores = [
        version.findings[method].score
        for version in versions
        if version.kind == "benign" and version.half == "tuning"
    ]
    known = [score for score in scores if score is not None]
    return max(known, default=None), len(known)


def is_flagged(finding: Finding, limit: float | None) -> bool | None:
    """By the method's own rule, else by its score; None when there is neither."""
    if finding.flagged is not None:
        return finding.flagged
    if finding.score is None or limit is None:
        return None
    return finding.score > limit


def _row(method: str, versions: list[Compared]) -> Row:
    limit, nulls = threshold(method, versions)

    def chosen(kind: Kind, half: Half = "report") -> list[Compared]:
        return [version for version in versions if version.kind == kind and version.half == half]

    def count(of: list[Compared]) -> int | None:
        said = [is_flagged(version.findings[method], limit) for version in of]
        return None if None in said else sum(map(bool, said))

    planted, diluted, benign = chosen("planted"), chosen("diluted"), chosen("benign")
    unasked = [version for version in planted if version.expected is None]
    mediated = [found for version in planted if (found := _of_plant(version, method))]
    return Row(
        method=method,
        threshold=limit,
        nulls=nulls,
        planted=len(planted),
        flagged=count(planted),
        without_suite=len(unasked),
        without_suite_flagged=count(unasked),
        named=_named(method, planted, limit),
        diluted=len(diluted),
        diluted_flagged=count(diluted),
        benign=len(benign),
        false_flags=count(benign),
        best=_median(_part(one.best, one.ceiling) for one in mediated),
        five=_median(_part(one.five, one.ceiling) for one in mediated),
        everything=_median(_part(one.everything, one.ceiling) for one in mediated),
        above_control=sum(one.is_cause for one in mediated) / len(mediated) if mediated else None,
        nll_rise_max=max((o.nll_rise for o in mediated if o.nll_rise is not None), default=None),
        seconds=_median(_seconds(version.findings[method]) for version in versions),
        cost=_median(_cost(version, method) for version in versions),
    )


def _of_plant(version: Compared, method: str) -> Mediated | None:
    """The causal figures of the planted behaviour, where it shifted and the method steers."""
    found = version.findings[method].mediated
    return found.get(version.expected) if found and version.expected else None


def _named(method: str, planted: list[Compared], limit: float | None) -> int | None:
    """None for a method that neither names behaviours nor steers."""
    asked = [version for version in planted if version.expected is not None]
    steers = any(version.findings[method].mediated is not None for version in asked)
    own_rule = any(version.findings[method].flagged is not None for version in asked)
    if not steers and not own_rule:
        return None

    def right(version: Compared) -> bool:
        finding = version.findings[method]
        if not is_flagged(finding, limit):
            return False
        if finding.flagged is not None:
            return version.expected in finding.names
        found = _of_plant(version, method)
        return found is not None and found.is_cause

    return sum(map(right, asked))


def _part(removed: float | None, ceiling: float | None) -> float | None:
    if ceiling is None or ceiling <= 0:
        return None
    # A void edit explains nothing: leaving it out would make a method look better than it is.
    return 0.0 if removed is None else removed / ceiling


def _seconds(finding: Finding) -> float:
    return finding.seconds + (finding.steering_seconds or 0.0)


def _cost(version: Compared, method: str) -> float | None:
    ours = version.findings.get(OURS)
    if ours is None or _seconds(ours) <= 0:
        return None
    return _seconds(version.findings[method]) / _seconds(ours)


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def summary(versions: Iterable[Compared]) -> dict[str, Any]:
    """The summary object that the command prints last."""
    known = list(versions)
    return {
        "benchmark": "compare",
        "versions": len(known),
        "methods": {row.method: row._asdict() for row in rows(known)},
    }
