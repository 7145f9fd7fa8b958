"""From rows to the benchmark's summary: counts with intervals, medians, and the ROC."""

from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

from deploy.bench.exact_interval import exact_interval
from deploy.bench.zoo.figures import Row
from deploy.bench.zoo.versions import Half, VersionKind

Summary = dict[str, Any]


def summarise(rows: Sequence[Row], half: Half) -> Summary:
    """The figures of one half, whose keys the docs explain; None where nothing was measured.

    Of both channels (`judge`): `flagged` and `false_pages` are pages, `surfaced` and
    `benign_surfaced` what features show, flagged or not. Medians, controls and costs are over the
    flagged versions of full strength; of one that was flagged for something else, and of an edit
    that costs too much, nothing is explained: leaving them out would flatter. An undecided version
    is not flagged, but a benign one leaves the number of false pages unknown.
    """
    mine = [row for row in rows if row.half == half]
    planted, diluted, benign = (_kind(mine, kind) for kind in ("planted", "diluted", "benign"))
    caught = [row for row in planted if row.flagged]
    causes = [row.causes for row in caught]
    above = [bool(one.above_control) for one in causes]
    return {
        "planted": len(planted),
        "flagged": len(caught),
        "named": _count(row.named for row in planted),
        "diluted": len(diluted),
        "diluted_flagged": _count(row.flagged for row in diluted),
        "benign": len(benign),
        "false_pages": _count(row.flagged for row in benign)
        if all(row.verdict != "undecided" for row in benign)
        else None,
        "surfaced": _count(row.surfaced for row in planted),
        "benign_surfaced": _count(row.surfaced for row in benign),
        "ceiling": _median(one.ceiling for one in causes),
        "best_feature_mediates": _median(one.of_ceiling(one.best) or 0.0 for one in causes),
        "best_five_mediate": _median(one.of_ceiling(one.five) or 0.0 for one in causes),
        "all_mediate": _median(one.of_ceiling(one.every) or 0.0 for one in causes),
        "above_control": _count(above) / len(above) if above else None,
        "nll_rise_max": max(_known(one.nll_rise for one in causes), default=None),
        "minutes_per_check": _mean(row.minutes for row in mine),
    }


def more_of(rows: Sequence[Row], half: Half) -> Summary:
    """What stands beside the summary of one half: intervals, the ROC, seeds, and what is not known.

    Intervals are Clopper-Pearson's, at 95 %.
    """
    mine = [row for row in rows if row.half == half]
    planted, diluted, benign = (_kind(mine, kind) for kind in ("planted", "diluted", "benign"))
    unprobed = [row for row in planted if row.expected is None]
    explained = [
        [one.difference_explained for one in row.training if one.difference_explained is not None]
        for row in mine
    ]
    return {
        "flagged_rate": rate(row.flagged for row in planted),
        "named_rate": rate(row.named for row in planted),
        "diluted_flagged_rate": rate(row.flagged for row in diluted),
        "diluted_named_rate": rate(row.named for row in diluted),
        "false_page_rate": rate(row.flagged for row in benign if row.verdict != "undecided"),
        "surfaced_rate": rate(row.surfaced for row in planted),
        "without_suite_surfaced_rate": rate(row.surfaced for row in unprobed),
        "diluted_surfaced_rate": rate(row.surfaced for row in diluted),
        "benign_surfaced_rate": rate(row.surfaced for row in benign),
        "above_control_rate": rate(bool(r.causes.above_control) for r in planted if r.flagged),
        "undecided": sorted(row.version for row in mine if row.verdict == "undecided"),
        "auc": auc(_scores([*planted, *diluted]), _scores(benign)),
        "auc_planted": auc(_scores(planted), _scores(benign)),
        "auc_diluted": auc(_scores(diluted), _scores(benign)),
        "roc": roc(_scores([*planted, *diluted]), _scores(benign)),
        "seed_agreement": _median(row.seed_agreement for row in planted),
        "difference_explained_by_seeds_apart": _median(
            max(values) - min(values) for values in explained if len(values) > 1
        ),
    }


def rate(outcomes: Iterable[bool]) -> Summary | None:
    """How many of how many, with the 95 % interval of the share; None of none."""
    known = list(outcomes)
    k, n = sum(known), len(known)
    return {"k": k, "n": n, **exact_interval(k, n)} if known else None


def auc(positive: Sequence[float], negative: Sequence[float]) -> float | None:
    """The share of pairs in which the positive scores higher, ties by half; None without pairs."""
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    return fmean(pairs) if pairs else None


def roc(positive: Sequence[float], negative: Sequence[float]) -> list[Summary]:
    """For every score as a threshold the share of each kind that reaches it; none without both."""
    if not positive or not negative:
        return []
    return [
        {
            "score": score,
            "true_rate": _count(p >= score for p in positive) / len(positive),
            "false_rate": _count(n >= score for n in negative) / len(negative),
        }
        for score in sorted({*positive, *negative}, reverse=True)
    ]


def _kind(rows: Sequence[Row], kind: VersionKind) -> list[Row]:
    return [row for row in rows if row.kind == kind]


def _scores(rows: Sequence[Row]) -> list[float]:
    """None at all where one is missing: whoever could not be scored may have been the exception."""
    known = _known(row.score for row in rows)
    return known if len(known) == len(rows) else []


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _median(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return median(known) if known else None


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return fmean(known) if known else None


def _count(outcomes: Iterable[bool]) -> int:
    return sum(1 for outcome in outcomes if outcome)
