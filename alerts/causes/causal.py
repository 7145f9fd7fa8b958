"""The causal experiments of one diff: what carries a shift, what brings it about, and how much.

Ablation subtracts a feature's own contribution in the candidate, addition writes the feature into
the base, and every claim stands beside random directions from the covariance of the difference.
Features and strengths are chosen on one half of the items; every figure is from the other half,
where the words that a feature carries are picked, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from alerts.causes.carried import carried_words
from alerts.causes.mediation import Mediation, Mediator, Trial
from alerts.causes.random_directions import ControlStates
from alerts.causes.steering_bench import NeutralText, Pair, SteeringBench
from alerts.deciding.measured import CausalEvidence
from alerts.evidence import DoseResponse
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import halves, thinned
from alerts.probes.suite import Suite
from alerts.records.behaviour import SeedMediation
from alerts.records.feature import CarriedWords, FeatureEffect
from dfc.engines.engine import Edit, FeatureBank, Progress, ScoreRow


@dataclass(frozen=True)
class CausalPlan:
    """How much is tried. More controls make a finer percentile, a larger pool a better choice."""

    controls: int = 20
    """Draws of random directions behind a 95th percentile."""
    pool: int = 6
    """Features per seed from which the best five are chosen."""
    selection_items: int = 16
    """Items on which features and strengths are chosen, at most."""
    strengths: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5)
    """Additions to the base, in units of a feature's natural maximum."""
    doses: tuple[float, ...] = (-1.0, -0.5, 0.5, 1.0, 2.0)
    """Gains on the best feature's own contribution in the candidate."""
    report_items: int = 24
    """Items on which effects are reported, at most."""
    dose_controls: int = 3
    """Random directions per dose."""
    maximum_nll_rise: float = 0.05
    """An edit that raises the loss on neutral text by more is void, nats per token."""
    seed: int = 0
    """Of the random directions."""


class SeedFeatures(NamedTuple):
    """One seed's candidate-exclusive features, as rows of its bank."""

    bank: FeatureBank
    listed: list[int]
    """Most important first."""
    new: list[int]
    """Whether the other seeds have found them or not."""


@dataclass
class CausalResult:
    """What was found, by behaviour and by row of the first seed's bank."""

    evidence: dict[str, CausalEvidence] = field(default_factory=dict)
    best: dict[str, list[int]] = field(default_factory=dict)
    """Rows of the first seed's bank, in the order in which they were chosen."""
    effects: dict[int, list[FeatureEffect]] = field(default_factory=dict)
    carried: dict[int, list[CarriedWords]] = field(default_factory=dict)
    """Of the candidate's own words; only where its best features carry them beyond controls, and
    for those whose ablation neutral text bears."""
    dose_responses: list[DoseResponse] = field(default_factory=list)


def measure_causes(
    models: Pair,
    suites: Sequence[Suite],
    seeds: Sequence[SeedFeatures],
    states: ControlStates,
    neutral: Sequence[ScoreRow],
    plan: CausalPlan,
    names: Mapping[int, str],
    progress: Progress | None = None,
    base_neutral: Sequence[ScoreRow] | None = None,
) -> CausalResult:
    """Run the experiments for every suite given: those whose behaviour has shifted.

    ``states`` are a sample at the banks' layer, ``neutral`` at least two ordinary texts, ``names``
    the ids of the first seed's rows. ``base_neutral`` are the same texts as the base reads them,
    where it has another tokenizer. Figures are parts of a shift: a suite that has not risen in
    both halves, or that has no two of them, is left without evidence.
    """
    layer = seeds[0].bank.layer
    choosing_text = NeutralText(models.candidate, neutral[::2], layer)
    reported_text = NeutralText(models.candidate, neutral[1::2], layer)
    base_text = NeutralText(
        models.base,
        (neutral if base_neutral is None else base_neutral)[::2],
        models.base_layer(layer),
    )
    in_base = models.in_base(seeds[0].bank)
    result = CausalResult()
    for done, suite in enumerate(suites):
        half = halves(suite)
        if not half.filled:
            continue
        selection = SteeringBench(models, thinned(half.selection, plan.selection_items), layer)
        report = SteeringBench(models, thinned(half.report, plan.report_items), layer)
        if not (selection.shift > 0 and report.shift > 0):  # a shift may be not a number
            continue
        mediator = Mediator(
            selection, report, choosing_text, reported_text, states, plan.maximum_nll_rise
        )
        found = [
            mediator.mediation(one.bank, one.listed[: plan.pool], one.new, plan.controls, plan.seed)
            for one in seeds
        ]
        name = suite.behaviour
        evidence = combine(found, report.ceiling(), plan.maximum_nll_rise)
        result.evidence[name] = _with_interval(evidence, found, report)
        result.best[name] = found[0].rows
        for rank, row in enumerate(found[0].rows):
            first, bank = rank == 0, seeds[0].bank
            ablation = found[0].best if first else mediator.trial(bank, [row])
            controls = plan.controls if first else 0
            effect = _effect(
                name, row, ablation, bank, in_base, mediator, base_text, plan, controls
            )
            result.effects.setdefault(row, []).append(effect)
            if name == OWN_WORDS and _beyond_controls(evidence) and _bearable(ablation, plan):
                removed_I = ablation.removed_I
                result.carried[row] = carried_words(report.items, report.shift_I, removed_I)
        if found[0].rows:
            best = found[0].rows[0]
            result.dose_responses.append(
                _dose_response(name, best, names[best], seeds[0].bank, mediator, plan)
            )
        if progress is not None:
            progress(done + 1, len(suites))
    return result


def combine(
    found: Sequence[Mediation], ceiling: float | None, maximum_nll_rise: float
) -> CausalEvidence:
    """Means over the seeds; the worst of them for controls and costs.

    An edit that costs too much on neutral text in any seed is void: None, not a smaller number.
    """

    def mean(trials: list[Trial]) -> float | None:
        if any(trial.nll_rise > maximum_nll_rise for trial in trials):
            return None
        return float(np.mean([trial.removed for trial in trials]))

    def borne(trial: Trial) -> float | None:
        return None if trial.nll_rise > maximum_nll_rise else trial.removed

    complete = all(one.rows for one in found)
    controls = [one.control for one in found if one.control is not None]
    controlled = complete and len(controls) == len(found)
    return CausalEvidence(
        ceiling=ceiling,
        mediated_best=mean([one.best for one in found]) if complete else None,
        mediated_five=mean([one.five for one in found]) if complete else None,
        mediated_all=mean([one.everything for one in found]),
        control_p95=max(controls) if controlled else None,
        nll_rise=max(one.five.nll_rise for one in found) if complete else None,
        seeds_agree=all(
            one.five.removed > control for one, control in zip(found, controls, strict=True)
        )
        if controlled and len(found) > 1
        else None,
        by_seed=tuple(
            SeedMediation(
                best=borne(one.best) if one.rows else None,
                five=borne(one.five) if one.rows else None,
                all=borne(one.everything),
                control_p95=one.control,
            )
            for one in found
        ),
    )


def _with_interval(
    evidence: CausalEvidence, found: Sequence[Mediation], report: SteeringBench
) -> CausalEvidence:
    """The interval of the best five's part over the items, each item's removal averaged over the
    seeds: it holds for these features, which were chosen on other items."""
    interval = None
    if evidence.mediated_five is not None:
        interval = report.interval(np.mean([one.five.removed_I for one in found], axis=0))
    return replace(evidence, five_interval=interval, n_items=report.n_items)


def _beyond_controls(evidence: CausalEvidence) -> bool:
    five, control = evidence.mediated_five, evidence.control_p95
    return five is not None and control is not None and five > control


def _bearable(ablation: Trial, plan: CausalPlan) -> bool:
    return ablation.nll_rise <= plan.maximum_nll_rise


def _effect(
    name: str,
    row: int,
    ablation: Trial,
    bank: FeatureBank,
    in_base: FeatureBank | None,
    mediator: Mediator,
    base_text: NeutralText,
    plan: CausalPlan,
    controls: int,
) -> FeatureEffect:
    """Both directions of one feature: its ``ablation`` in the candidate, and added to the base (as
    it stands ``in_base``, None where the base can't be edited alike).

    Without ``controls`` both effects stand without a percentile of random directions.
    """
    bearable = [
        (induced, edit)
        for edit in (Edit(row, offset=strength) for strength in plan.strengths)
        if in_base is not None
        and base_text.nll_rise(in_base, [edit]) <= plan.maximum_nll_rise
        and (induced := mediator.selection.induced(bank, [edit])) is not None
    ]
    _, addition = max(bearable, default=(None, None))
    seed = plan.seed + 1
    return FeatureEffect(
        behaviour=name,
        ablation_removes=ablation.removed if _bearable(ablation, plan) else None,
        addition_induces=mediator.report.induced(bank, [addition]) if addition else None,
        control_p95=mediator.control_p95(bank, [row], controls, seed) if controls else None,
        addition_control_p95=mediator.addition_control_p95(bank, addition, controls, seed)
        if addition and controls
        else None,
        nll_rise=ablation.nll_rise,
        strength=addition.offset if addition else None,
    )


def _dose_response(
    name: str, row: int, feature: str, bank: FeatureBank, mediator: Mediator, plan: CausalPlan
) -> DoseResponse:
    """The candidate's score as its best feature is turned down and up, beside random directions."""
    controls = list(mediator.controls(bank, [row], plan.dose_controls, plan.seed + 2))
    edits = [[Edit(row, gain=dose)] for dose in plan.doses]
    return DoseResponse(
        behaviour=name,
        feature=feature,
        strengths=list(plan.doses),
        effects=[mediator.report.effect(bank, edit) for edit in edits],
        control_effects=[
            [mediator.report.effect(control, edit) for control in controls] for edit in edits
        ],
        nll_rises=[mediator.reported_text.nll_rise(bank, edit) for edit in edits],
    )
