"""Recall and false positives of the features that one crosscoder calls exclusive."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any, NamedTuple

from scipy.stats import t

from deploy.bench.toy.features import Feature


class Score(NamedTuple):
    """One set of features against the truth; None where there is nothing to divide by."""

    recall: float | None
    """Share of the exclusive concepts of both models that some feature recovers."""

    precision: float | None
    """Share of the features that recover an exclusive concept of their model."""

    features: int
    false_positives: int
    shared_concept: int
    """False positives that recover a concept which both models have ..."""
    no_concept: int
    """... and such that recover none."""


def score(features: Sequence[Feature], exclusive_concepts: int) -> Score:
    """``exclusive_concepts`` of both models together."""
    true = [f for f in features if f.kind == "exclusive"]
    found = {(f.side, f.concept) for f in true}
    return Score(
        recall=len(found) / exclusive_concepts if exclusive_concepts else None,
        precision=len(true) / len(features) if features else None,
        features=len(features),
        false_positives=len(features) - len(true),
        shared_concept=sum(f.kind == "shared" for f in features),
        no_concept=sum(f.kind == "none" for f in features),
    )


def over_seeds(values: Sequence[float | None]) -> dict[str, Any]:
    """Mean with its 95 % interval (Student's t over seeds) and the single values.

    Values that are None take no part; with fewer than two there is no interval, with none no mean.
    """
    known = [value for value in values if value is not None]
    mean = fmean(known) if known else None
    interval = None
    if len(known) > 1:
        half = float(t.ppf(0.975, len(known) - 1)) * stdev(known) / len(known) ** 0.5
        interval = [fmean(known) - half, fmean(known) + half]
    return {"mean": mean, "interval_95": interval, "n": len(known), "by_seed": list(values)}
