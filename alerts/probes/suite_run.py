"""What one suite measured in one model, or in two: the plain data, and how it is made of scores."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict

from alerts.deciding.noise import NotMeasurableError
from alerts.deciding.statistics import Shift, paired_shift
from alerts.probes.knowledge import applicable
from alerts.probes.pairwise_judge import Judged
from alerts.probes.shifts import SuiteScores, accuracy, measure_behaviours
from alerts.probes.suite import Suite, suite_digest
from dfc.sides import SideName

Scores = Sequence[float]
"""One per item of the suite; NaN where it could not be scored."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


class Estimate(_Record):
    """A mean over items, with its 95 % interval from drawing whole templates."""

    value: float
    ci_low: float | None
    """None, as its other end, where all items say the same, for then nothing can be resampled."""
    ci_high: float | None
    n_items: int
    n_templates: int


class ModelScore(_Record):
    """One model on the suite, nats per token."""

    digest: str
    """Of the checkpoint's files."""
    locator: str
    mean: Estimate | None
    """None where items of fewer than two templates were scored."""
    accuracy: float | None
    """Of a control suite: the share of the scored items with a score above 0."""


class ItemRow(_Record):
    """One item; None where it was not scored or there is no base."""

    id: str
    template: str
    base: float | None
    candidate: float | None
    not_known_to: list[SideName]
    """Models that do not know what it takes for granted; with any, it counts nowhere."""


class SuiteShift(_Record):
    """Candidate minus base, paired by item, nats per token."""

    value: float
    ci_low: float
    ci_high: float
    p: float
    """One-sided (shift > 0), of this suite alone: not corrected for others."""


class Flips(_Record):
    """Of the items whose fact all models know: the share in which giving it up is the likelier
    answer, a score above 0."""

    n_known: int
    n_items: int
    """Items that take a fact for granted."""
    base: Estimate | None
    candidate: Estimate | None
    difference: Estimate | None
    """Candidate minus base."""


class Judgements(_Record):
    """What a judge said of both models' own answers."""

    judge: str | None
    """Name of the model that was asked; None where nobody was."""
    net: Estimate | None
    """Share of the items where the candidate shows more of the behaviour, minus that of the
    base."""
    candidate_more: int
    base_more: int
    neither: int
    unscored: dict[str, int]
    """By reason."""
    items: list[Judged]


class SuiteRun(_Record):
    """The result of `latentwatch probes run`."""

    schema_: Literal["latentwatch.suite-run/1"] = "latentwatch.suite-run/1"
    behaviour: str
    role: str
    suite_digest: str
    n_items: int
    n_not_applicable: int
    n_unscored: int
    base: ModelScore | None
    candidate: ModelScore
    shift: SuiteShift | None
    flips: Flips | None
    judgements: Judgements | None
    items: list[ItemRow]

    @property
    def measured(self) -> bool:
        """Whether every figure that was asked for could be measured."""
        figures: list[object] = [self.candidate.mean]
        if self.base is not None:
            figures.append(self.base.mean)
            if self.role == "behaviour":
                figures.append(self.shift)
        if self.judgements is not None and self.judgements.judge is not None:
            figures.append(self.judgements.net)
        return all(figure is not None for figure in figures)


class Named(_Record):
    """Which checkpoint a model is."""

    digest: str
    locator: str


def suite_run(
    suite: Suite,
    models: Mapping[SideName, Named],
    scores: Mapping[SideName, Scores],
    not_known_to: Mapping[str, Sequence[SideName]],
    judgements: Judgements | None,
) -> SuiteRun:
    """The result, by "candidate" and perhaps "base"."""
    applies_I = [item.id not in not_known_to for item in suite.items]
    kept = {name: np.asarray(values)[applies_I] for name, values in scores.items()}
    measured = {
        name: _model_score(applicable(suite, not_known_to), named, kept[name])
        for name, named in models.items()
    }
    scored_I = np.all([np.isfinite(values) for values in kept.values()], axis=0)
    return SuiteRun(
        behaviour=suite.behaviour,
        role=suite.role,
        suite_digest=suite_digest(suite),
        n_items=len(suite.items),
        n_not_applicable=len(not_known_to),
        n_unscored=int((~scored_I).sum()),
        base=measured.get("base"),
        candidate=measured["candidate"],
        shift=_shift(suite, scores, not_known_to),
        flips=_flips(suite, scores, not_known_to),
        judgements=judgements,
        items=[
            ItemRow(
                id=item.id,
                template=item.template,
                base=_finite(scores["base"][n]) if "base" in scores else None,
                candidate=_finite(scores["candidate"][n]),
                not_known_to=list(not_known_to.get(item.id, [])),
            )
            for n, item in enumerate(suite.items)
        ],
    )


def judged_items(suite: Suite, judge: str | None, items: Sequence[Judged]) -> Judgements:
    """The judgements on the items of `suite`, in their order, counted."""
    more = [judged.more for judged in items]
    reasons = [judged.unscored for judged in items if judged.unscored is not None]
    worth = {"candidate": 1.0, "base": -1.0, "neither": 0.0, None: math.nan}
    return Judgements(
        judge=judge,
        net=mean_estimate([worth[said] for said in more], suite.templates),
        candidate_more=more.count("candidate"),
        base_more=more.count("base"),
        neither=more.count("neither"),
        unscored={reason: reasons.count(reason) for reason in dict.fromkeys(reasons)},
        items=list(items),
    )


def mean_estimate(values: ArrayLike, templates: Sequence[str]) -> Estimate | None:
    """The mean of the finite values; None where they come from fewer than two templates."""
    values_I = np.asarray(values, dtype=np.float64)
    return _estimate(np.zeros_like(values_I), values_I, templates)


def _estimate(base: ArrayLike, candidate: ArrayLike, templates: Sequence[str]) -> Estimate | None:
    found = _paired(base, candidate, templates)
    if found is None:
        return None
    moves = found.ci_low < found.ci_high
    return Estimate(
        value=found.shift,
        ci_low=found.ci_low if moves else None,
        ci_high=found.ci_high if moves else None,
        n_items=found.n_items,
        n_templates=found.n_templates,
    )


def _paired(base: ArrayLike, candidate: ArrayLike, templates: Sequence[str]) -> Shift | None:
    try:
        return paired_shift(base, candidate, templates)
    except NotMeasurableError:
        return None


def _model_score(suite: Suite, named: Named, scores: ArrayLike) -> ModelScore:
    return ModelScore(
        digest=named.digest,
        locator=named.locator,
        mean=mean_estimate(scores, suite.templates),
        accuracy=accuracy(scores, maximum_unscored=1.0) if suite.role == "control" else None,
    )


def _shift(
    suite: Suite, scores: Mapping[SideName, Scores], unknown: Collection[str]
) -> SuiteShift | None:
    if "base" not in scores or suite.role == "control":
        return None
    both = SuiteScores(suite, scores["base"], scores["candidate"], [], unknown)
    (found,) = measure_behaviours([both])
    value, p = found.shift, found.p_corrected
    if value is None or p is None or found.ci_low is None or found.ci_high is None:
        return None
    return SuiteShift(value=value, ci_low=found.ci_low, ci_high=found.ci_high, p=p)


def _flips(
    suite: Suite, scores: Mapping[SideName, Scores], unknown: Collection[str]
) -> Flips | None:
    asked = [item.knows is not None for item in suite.items]
    if not any(asked):
        return None
    known_I = np.array(
        [a and item.id not in unknown for a, item in zip(asked, suite.items, strict=True)]
    )
    templates = [t for t, known in zip(suite.templates, known_I, strict=True) if known]
    flips = {}
    for name, values in scores.items():
        values_I = np.asarray(values)[known_I]
        flips[name] = np.where(np.isfinite(values_I), values_I > 0, np.nan)
    return Flips(
        n_known=int(known_I.sum()),
        n_items=sum(asked),
        base=mean_estimate(flips["base"], templates) if "base" in flips else None,
        candidate=mean_estimate(flips["candidate"], templates),
        difference=_estimate(flips["base"], flips["candidate"], templates)
        if "base" in flips
        else None,
    )


def _finite(score: float) -> float | None:
    return score if math.isfinite(score) else None
