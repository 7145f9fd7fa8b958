"""Causal experiments on a model whose truth is known: one direction is the whole shift."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from alerts.causes.causal import DRAWS_APART, CausalResult, SeedFeatures, measure_causes
from alerts.causes.chosen_controls import chosen_draws, most_removed
from alerts.causes.mediation import Mediator
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.causes.random_directions import control_banks
from alerts.causes.steering_bench import NeutralText, SteeringBench
from alerts.probes.halves import halves, thinned
from alerts.probes.suite import Suite
from alerts.records.behaviour import SeedMediation
from dfc.engines.engine import Edit, FeatureBank, Replay
from tests.alerts.causes.agreeing import (
    ADDED_D,
    DIFFERENCE_ND,
    MODELS,
    NEUTRAL_ROWS,
    PLAN,
    READOUT_D,
    TRUE,
    bank,
    basis,
    measure,
    suite,
)
from tests.alerts.linear_engine import LinearEngine


def test_the_true_feature_mediates_the_whole_shift() -> None:
    found = measure(TRUE, TRUE)
    evidence = found.evidence["agreeing"]
    assert evidence.ceiling == pytest.approx(1.0, abs=1e-5)
    assert evidence.mediated_best == pytest.approx(1.0, abs=1e-5)
    assert evidence.mediated_five == pytest.approx(1.0, abs=1e-5)
    assert evidence.mediated_all == pytest.approx(1.0, abs=1e-5)
    assert evidence.control_p95 is not None and evidence.control_p95 < 0.8
    assert evidence.nll_rise == pytest.approx(0.0, abs=1e-6)
    assert evidence.seeds_agree is True
    assert found.best["agreeing"][0] == 0
    # Every item loses all of its shift, so no draw of templates gives anything else.
    assert evidence.five_interval == pytest.approx((1.0, 1.0), abs=1e-5)
    assert evidence.n_items == 20


@pytest.mark.parametrize(
    ("taken_off", "part"),
    [(0.5, 0.5), (1.0, 1.0), (1.2, 0.8), (2.0, 0.0), (0.0, 0.0), (-0.5, -0.5)],
)
def test_what_is_taken_off_every_item_alike_is_as_large_a_part(
    taken_off: float, part: float
) -> None:
    bench = SteeringBench(MODELS, suite(), TRUE.layer)
    assert bench.part(taken_off * bench.shift_I) == pytest.approx(part, abs=1e-5)
    assert bench.removed(TRUE, [Edit(0, gain=-taken_off)]) == pytest.approx(part, abs=1e-5)


def test_too_much_of_one_item_does_not_make_up_for_another() -> None:
    bench = SteeringBench(MODELS, suite(), TRUE.layer)
    uneven_I = bench.shift_I * np.tile([2.0, 0.0], len(bench.shift_I) // 2)
    assert bench.part(uneven_I) == pytest.approx(0.0, abs=1e-5)
    assert 0.25 < bench.part(uneven_I / 2) < 0.35  # all of half the items


def test_what_is_no_part_of_the_change_is_not_ablated_with_it() -> None:
    evidence = measure(TRUE, TRUE, change=(1, 2)).evidence["agreeing"]
    assert evidence.mediated_all == pytest.approx(0.0, abs=1e-5)
    assert measure(TRUE, TRUE, change=()).evidence["agreeing"].mediated_all == 0.0


def test_the_interval_holds_the_part_and_is_wider_where_items_differ() -> None:
    halved = bank(0.5 * ADDED_D + 0.2 * basis(0), *(basis(d) for d in range(5, 10)))
    evidence = measure(halved).evidence["agreeing"]
    assert evidence.five_interval is not None and evidence.mediated_five is not None
    low, high = evidence.five_interval
    assert low < evidence.mediated_five < high


def test_both_directions_of_one_feature_are_measured() -> None:
    effect = measure(TRUE, TRUE).effects[0][0]
    assert effect.ablation_removes == pytest.approx(1.0, abs=1e-5)
    # Half a natural maximum of 1.5 writes half of what the candidate has, 1.5 on average.
    assert effect.addition_induces == pytest.approx(0.5, abs=0.05)
    assert effect.strength == 0.5


def test_each_direction_of_a_feature_stands_beside_random_ones_edited_alike() -> None:
    effect = measure(TRUE, TRUE).effects[0][0]
    layer = TRUE.layer
    report = SteeringBench(MODELS, thinned(halves(suite()).report, PLAN.report_items), layer)
    drawn = list(control_banks(TRUE, 0, PLAN.controls, PLAN.seed + 1, DIFFERENCE_ND))
    induced = [report.induced(control, [Edit(0, offset=0.5)]) or 0.0 for control in drawn]
    assert effect.addition_control_p95 == pytest.approx(max(induced))
    chosen_on = thinned(halves(suite()).selection, PLAN.selection_items)
    selection = SteeringBench(MODELS, chosen_on, layer)
    text = NeutralText(MODELS.candidate, NEUTRAL_ROWS, layer)
    choose = Mediator(selection, report, text, text, DIFFERENCE_ND, 0.05).choose
    seed = PLAN.seed + DRAWS_APART
    draws = chosen_draws(choose, TRUE, [1, 2, 0, 3, 4, 5], PLAN.controls, seed, DIFFERENCE_ND)
    first = [one.first() for one in draws]
    assert effect.control_p95 == pytest.approx(most_removed(report, TRUE, first))
    assert 0 < effect.control_p95 < 1
    assert 0 < effect.addition_control_p95 < (effect.addition_induces or 0)
    assert effect.control_p95 != pytest.approx(effect.addition_control_p95)


def test_what_the_same_edit_does_to_the_base_is_a_control() -> None:
    # Firing everywhere and reading out as much in the base, the edit says nothing of the update;
    # random directions of this difference read out as nothing.
    unread_ND = torch.outer(DIFFERENCE_ND[:, 0], basis(10))
    everywhere = bank(*([basis(22)] + [basis(n) for n in range(5, 10)]), bias=1.0)
    lenient = CausalPlan(maximum_nll_rise=9.0)
    seeds = [SeedFeatures(everywhere, [0, 1, 2, 3, 4, 5], [])] * 2
    names = {row: f"candidate-{row}" for row in range(6)}
    found = measure_causes(MODELS, [suite()], seeds, unread_ND, NEUTRAL_ROWS, lenient, names)
    evidence = found.evidence["agreeing"]
    # In the base the activation is 1, in the candidate 1 plus a strength of 1.5 on average.
    assert evidence.mediated_five == pytest.approx(2.5 / 3, abs=0.1)
    assert evidence.control_p95 == pytest.approx(1 / 3, abs=0.05)
    # Whether it lowers or raises the base's score.
    bench = SteeringBench(MODELS, suite(), everywhere.layer)
    changed = [bench.changed_in_base(everywhere, [Edit(0, gain=gain)]) for gain in (-1.0, 1.0)]
    assert changed == pytest.approx([1 / 3] * 2, abs=0.05)


def test_features_that_write_nothing_of_the_shift_have_no_cause() -> None:
    idle = bank(*(basis(n) for n in range(5, 11)))
    found = measure(idle, idle)
    evidence = found.evidence["agreeing"]
    assert (evidence.mediated_five, evidence.control_p95, evidence.seeds_agree) == (None,) * 3


def test_the_seeds_must_agree() -> None:
    idle = bank(0.04 * ADDED_D, *(basis(n) for n in range(5, 10)))
    evidence = measure(TRUE, idle).evidence["agreeing"]
    assert evidence.seeds_agree is False
    # Of one seed nothing is left, of the other 0.96 of every shift: 0.68 in root mean square.
    assert evidence.mediated_five == pytest.approx(1 - 0.96 / 2**0.5, abs=1e-5)


def test_what_costs_too_much_is_left_out_and_the_rest_is_held_against_its_control() -> None:
    # The second feature removes a third and fires everywhere, where neutral text reads dimension 0.
    harmful = bank(0.04 * ADDED_D, 0.6 * basis(0), *(basis(n) for n in range(5, 9)))
    harmful = harmful._replace(bias_K=torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    found = measure(harmful, harmful)
    evidence = found.evidence["agreeing"]
    assert found.best["agreeing"] == [0]
    assert evidence.mediated_five == pytest.approx(0.04, abs=1e-5)
    assert (evidence.control_p95 or 0) > 0.04 and evidence.seeds_agree is False
    assert measure(TRUE).evidence["agreeing"].seeds_agree is None


def test_an_edit_that_costs_too_much_on_neutral_text_is_not_taken() -> None:
    # With this bias the feature fires everywhere, and neutral text reads dimension 0.
    harmful = bank(*([basis(0) * 0.3] * 6), bias=1.0)
    evidence = measure(harmful, harmful).evidence["agreeing"]
    assert evidence.mediated_best is None and evidence.mediated_five is None
    assert evidence.mediated_all is None and evidence.control_p95 is None
    assert evidence.seeds_agree is None
    unknown = SeedMediation(best=None, five=None, all=None, control_p95=None)
    assert evidence.by_seed == (unknown, unknown)


def test_a_dose_response_is_monotone_and_stands_beside_controls() -> None:
    [curve] = measure(TRUE, TRUE).dose_responses
    assert curve.feature == "candidate-0"
    assert curve.effects == sorted(curve.effects)
    assert curve.effects[0] < 0 < curve.effects[-1]
    assert [len(row) for row in curve.control_effects] == [3] * len(curve.strengths)


def test_a_suite_that_has_not_risen_is_left_without_evidence() -> None:
    seeds = [SeedFeatures(TRUE, [0, 1], [0, 1])]
    names = {row: f"candidate-{row}" for row in range(6)}
    same = Pair(MODELS.base, MODELS.base)
    found = measure_causes(same, [suite()], seeds, DIFFERENCE_ND, NEUTRAL_ROWS, PLAN, names)
    assert found == CausalResult()


def test_a_suite_that_can_not_be_cut_in_two_is_left_without_evidence() -> None:
    seeds = [SeedFeatures(TRUE, [0, 1], [0, 1])]
    names = {row: f"candidate-{row}" for row in range(6)}
    whole = suite()
    agree = whole.items[0].variants[0].matching
    items = tuple(
        one.model_copy(
            update={"variants": (one.variants[0].model_copy(update={"matching": agree}),)}
        )
        for one in whole.items
    )
    tied = whole.model_copy(update={"items": items, "behaviour": "parroting"})
    found = measure_causes(MODELS, [tied, whole], seeds, DIFFERENCE_ND, NEUTRAL_ROWS, PLAN, names)
    assert set(found.evidence) == {"agreeing"}


class Unscored(LinearEngine):
    """Leaves the items of some prompts unscored."""

    def __init__(self, prompts: set[int]) -> None:
        super().__init__(READOUT_D, ADDED_D)
        self._prompts = prompts

    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        scores = super().score_from(replay, bank=bank, edits=edits)
        known = [row.prompt[0] not in self._prompts for row in replay.rows]
        return [score if one else np.nan for score, one in zip(scores, known, strict=True)]


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("half", halves(suite()), ids=["selection", "report"])
def test_a_half_that_could_not_be_scored_leaves_its_suite_without_evidence(half: Suite) -> None:
    asked = {int(one.variants[0].messages[0].content) for one in half.items}
    models = Pair(MODELS.base, Unscored(asked))
    seeds = [SeedFeatures(TRUE, [0, 1], [0, 1])]
    names = {row: f"candidate-{row}" for row in range(6)}
    found = measure_causes(models, [suite()], seeds, DIFFERENCE_ND, NEUTRAL_ROWS, PLAN, names)
    assert found == CausalResult()
