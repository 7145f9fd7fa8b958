"""Causal experiments on a model whose truth is known: one direction is the whole shift."""

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from alerts.causes.causal import CausalResult, SeedFeatures, measure_causes
from alerts.causes.chosen_controls import chosen_draws, most_removed
from alerts.causes.combine import combine
from alerts.causes.mediation import Mediation, Trial
from alerts.causes.plan import CausalPlan
from alerts.causes.random_directions import (
    ControlStates,
    control_bank,
    control_banks,
    difference_directions,
)
from alerts.causes.steering_bench import Pair, SteeringBench
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import halves, thinned
from alerts.probes.suite import Suite
from alerts.records.behaviour import SeedMediation
from dfc.engines.engine import Edit, FeatureBank, Replay, ScoreRow
from tests.alerts.linear_engine import NEUTRAL, WIDTH, LinearEngine

PLAN = CausalPlan()
PLAN_THAT_BEARS_NOTHING = replace(PLAN, maximum_nll_rise=-1.0)


def basis(*dimensions: int) -> Tensor:
    x_D = torch.zeros(WIDTH)
    x_D[list(dimensions)] = 1.0
    return x_D


READOUT_D = basis(0, 1, 22)
ADDED_D = basis(22) * 2 + basis(23)
"""Shifts the read-out by 2 per unit; dimension 23 says how strong it is."""


def suite(n_templates: int = 8) -> Suite:
    items = [
        {
            "id": f"{t}-{n}",
            "template": f"t{t}",
            "variants": [
                {
                    "messages": [{"role": "user", "content": str(100 * t + n)}],
                    "matching": [f"agree {t}-{n}"],
                    "not_matching": [f"disagree {t}-{n}"],
                }
            ],
        }
        for t in range(n_templates)
        for n in range(5)
    ]
    return Suite.model_validate_json(
        json.dumps(
            {
                "schema": "latentwatch.suite/1",
                "behaviour": "agreeing",
                "role": "behaviour",
                "description": "d",
                "minimum_effect": 0.5,
                "items": items,
            }
        )
    )


def bank(*decoders: Tensor, bias: float = 0.0) -> FeatureBank:
    """Features that all fire by dimension 23 and write the given rows."""
    return FeatureBank(
        layer=1,
        encoder_KD=torch.stack([basis(23)] * len(decoders)),
        bias_K=torch.full((len(decoders),), bias),
        threshold_K=torch.zeros(len(decoders)),
        decoder_KD=torch.stack(list(decoders)),
        unit_K=torch.full((len(decoders),), 1.5),
    )


MODELS = Pair(LinearEngine(READOUT_D, torch.zeros(WIDTH)), LinearEngine(READOUT_D, ADDED_D))
NEUTRAL_ROWS = [ScoreRow((9_000 + n,), NEUTRAL) for n in range(6)]
DIFFERENCE_ND = torch.randn(400, WIDTH, generator=torch.Generator().manual_seed(4))
DIFFERENCE_ND[:, [0, 1, 22]] *= 0.2
"""Most of the difference isn't read out."""
CANDIDATE_ND = torch.randn(400, WIDTH, generator=torch.Generator().manual_seed(5)).abs()
STATES = ControlStates(CANDIDATE_ND, DIFFERENCE_ND)
TRUE = bank(ADDED_D, basis(5), basis(6), basis(7), basis(8), basis(9))


def measure(*banks: FeatureBank, change: Sequence[int] = range(6)) -> CausalResult:
    seeds = [SeedFeatures(one, [1, 2, 0, 3, 4, 5], list(change)) for one in banks]
    names = {row: f"candidate-{row}" for row in range(6)}
    return measure_causes(MODELS, [suite()], seeds, STATES, NEUTRAL_ROWS, PLAN, names)


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


def test_what_is_left_over_is_counted_item_by_item() -> None:
    bench = SteeringBench(MODELS, suite(), TRUE.layer)
    shift_I = bench.shift_I
    assert bench.left_over(TRUE, [Edit(0, gain=-1.0)]) == pytest.approx(0.0, abs=1e-9)
    assert bench.left_over(TRUE, [Edit(0, gain=-0.5)]) == pytest.approx((shift_I**2).mean() / 4)
    # What removes nothing leaves more than the mean shift squared: items differ.
    assert bench.left_over(TRUE, [Edit(5, gain=-1.0)]) > bench.shift**2


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
    drawn = list(control_banks(TRUE, [0], PLAN.controls, PLAN.seed + 1, STATES))
    induced = [report.induced(control, [Edit(0, offset=0.5)]) or 0.0 for control in drawn]
    assert effect.addition_control_p95 == pytest.approx(max(induced))
    chosen_on = thinned(halves(suite()).selection, PLAN.selection_items)
    selection = SteeringBench(MODELS, chosen_on, layer)
    draws = chosen_draws(selection, TRUE, [1, 2, 0, 3, 4, 5], PLAN.controls, PLAN.seed, STATES)
    first = [one.first() for one in draws]
    assert effect.control_p95 == pytest.approx(most_removed(report, TRUE, first, STATES))
    assert 0 < effect.control_p95 < 1
    assert 0 < effect.addition_control_p95 < (effect.addition_induces or 0)
    assert effect.control_p95 != pytest.approx(effect.addition_control_p95)


def test_what_the_same_edit_takes_off_the_base_is_a_control() -> None:
    # Firing everywhere and reading out as much in the base, the edit says nothing of the update;
    # random directions of this difference read out as nothing.
    unread = ControlStates(CANDIDATE_ND, torch.outer(DIFFERENCE_ND[:, 0], basis(10)))
    everywhere = bank(*([basis(22)] + [basis(n) for n in range(5, 10)]), bias=1.0)
    lenient = CausalPlan(maximum_nll_rise=9.0)
    seeds = [SeedFeatures(everywhere, [0, 1, 2, 3, 4, 5], [])] * 2
    names = {row: f"candidate-{row}" for row in range(6)}
    found = measure_causes(MODELS, [suite()], seeds, unread, NEUTRAL_ROWS, lenient, names)
    evidence = found.evidence["agreeing"]
    # In the base the activation is 1, in the candidate 1 plus a strength of 1.5 on average.
    assert evidence.mediated_five == pytest.approx(2.5 / 3, abs=0.1)
    assert evidence.control_p95 == pytest.approx(1 / 3, abs=0.05)


def test_features_that_write_nothing_of_the_shift_have_no_cause() -> None:
    idle = bank(*(basis(n) for n in range(5, 11)))
    found = measure(idle, idle)
    evidence = found.evidence["agreeing"]
    assert (evidence.mediated_five, evidence.control_p95, evidence.seeds_agree) == (None,) * 3


def test_the_seeds_must_agree() -> None:
    idle = bank(0.04 * ADDED_D, *(basis(n) for n in range(5, 10)))
    evidence = measure(TRUE, idle).evidence["agreeing"]
    assert evidence.seeds_agree is False
    assert evidence.mediated_five == pytest.approx(0.52, abs=1e-5)


def test_what_does_no_better_than_chance_says_nothing_where_better_costs_too_much() -> None:
    # The second feature removes a third and fires everywhere, where neutral text reads dimension 0.
    harmful = bank(0.04 * ADDED_D, 0.6 * basis(0), *(basis(n) for n in range(5, 9)))
    harmful = harmful._replace(bias_K=torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0, 0.0]))
    evidence = measure(harmful, harmful).evidence["agreeing"]
    assert evidence.mediated_five is None and evidence.seeds_agree is None
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


def test_halves_share_no_item_and_hold_every_template() -> None:
    whole = suite()
    selection, report = halves(whole)
    ids = [{item.id for item in half.items} for half in (selection, report)]
    assert not ids[0] & ids[1]
    assert ids[0] | ids[1] == {item.id for item in whole.items}
    assert abs(len(ids[0]) - len(ids[1])) <= 1
    for half in (selection, report):
        assert {item.template for item in half.items} == {item.template for item in whole.items}


def test_control_directions_have_the_covariance_of_the_difference() -> None:
    narrow_ND = DIFFERENCE_ND * torch.tensor([25.0] + [0.1] * (WIDTH - 1))
    directions_CD = difference_directions(narrow_ND + 100.0, 200, seed=1)
    assert torch.allclose(directions_CD.norm(dim=1), torch.ones(200), atol=1e-5)
    assert directions_CD[:, 0].abs().median() > 0.9
    assert 60 < int((directions_CD[:, 0] > 0).sum()) < 140


@pytest.mark.parametrize("rows", [[0], [0, 1, 2, 3, 4]])
def test_a_control_edits_as_strongly_as_the_features_it_stands_for(rows: list[int]) -> None:
    # Features that write alike add up, and so must their controls.
    alike = bank(*(ADDED_D + 0.1 * basis(n) for n in range(5, 11)))
    directions_RD = difference_directions(DIFFERENCE_ND, len(rows), seed=2)
    control = control_bank(alike, rows, directions_RD, STATES)

    def edit_norm(edited: FeatureBank) -> Tensor:
        f_N = torch.relu(CANDIDATE_ND[:, 23])
        return (f_N[:, None] * edited.decoder_KD[rows].sum(0)).pow(2).sum(1).mean().sqrt()

    assert torch.allclose(edit_norm(control), edit_norm(alike), rtol=1e-4)
    assert torch.equal(control.encoder_KD, alike.encoder_KD)
    cosine_R = torch.cosine_similarity(control.decoder_KD[rows], directions_RD, dim=1)
    assert torch.allclose(cosine_R, torch.ones(len(rows)), atol=1e-5)
    assert torch.equal(control.decoder_KD[len(rows) :], alike.decoder_KD[len(rows) :])


def test_controls_of_different_draws_differ_and_equal_seeds_repeat_them() -> None:
    one, other, again = (list(control_banks(TRUE, [1], 2, seed, STATES)) for seed in (0, 1, 0))
    decoders = [bank.decoder_KD for bank in (*one, *other)]
    assert all(not torch.equal(a, b) for a, b in combinations(decoders, 2))
    assert all(torch.equal(a.decoder_KD, b.decoder_KD) for a, b in zip(one, again, strict=True))


def test_a_suite_that_has_not_risen_is_left_without_evidence() -> None:
    seeds = [SeedFeatures(TRUE, [0, 1], [0, 1])]
    names = {row: f"candidate-{row}" for row in range(6)}
    same = Pair(MODELS.base, MODELS.base)
    found = measure_causes(same, [suite()], seeds, STATES, NEUTRAL_ROWS, PLAN, names)
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
    found = measure_causes(MODELS, [tied, whole], seeds, STATES, NEUTRAL_ROWS, PLAN, names)
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
    found = measure_causes(models, [suite()], seeds, STATES, NEUTRAL_ROWS, PLAN, names)
    assert found == CausalResult()


def test_combining_keeps_the_worst_cost_and_the_highest_control() -> None:
    report = SteeringBench(MODELS, suite(), TRUE.layer)

    def one(removed: float, rise: float, control: float) -> Mediation:
        trial = Trial(removed, rise, removed * report.shift_I)
        return Mediation([0], True, trial, trial, trial, control, [])

    evidence = combine([one(0.6, 0.01, 0.1), one(0.4, 0.03, 0.2)], report, 0.05)
    assert (evidence.mediated_five, evidence.control_p95, evidence.nll_rise) == (0.5, 0.2, 0.03)
    assert evidence.seeds_agree is True
    assert [seed.five for seed in evidence.by_seed] == [0.6, 0.4]
    assert evidence.five_interval == pytest.approx((0.5, 0.5))
    void = combine([one(0.6, 0.01, 0.1), one(0.4, 0.06, 0.2)], report, 0.05)
    assert [seed.five for seed in void.by_seed] == [0.6, None]
    assert void.mediated_five is None and np.isclose(void.nll_rise or 0, 0.06)


def own_words(by: FeatureBank, plan: CausalPlan = PLAN) -> CausalResult:
    """As `measure`, of forks whose words are their own."""
    asked = suite()
    items = [
        one.model_copy(
            update={"variants": (one.variants[0].model_copy(update={"not_matching": (one.id,)}),)}
        )
        for one in asked.items
    ]
    forked = asked.model_copy(update={"behaviour": OWN_WORDS, "items": tuple(items)})
    seeds = [SeedFeatures(by, [1, 2, 0, 3, 4, 5], list(range(6)))]
    names = {row: f"candidate-{row}" for row in range(6)}
    return measure_causes(MODELS, [asked, forked], seeds, STATES, NEUTRAL_ROWS, plan, names)


def test_a_feature_carries_own_words_where_it_takes_back_most_of_them() -> None:
    others = (basis(d) for d in range(6, 10))
    found = own_words(bank(0.7 * ADDED_D, 0.3 * ADDED_D, *others))
    assert set(found.best[OWN_WORDS]) >= {0, 1}
    assert found.carried[1] == []
    assert [one.part for one in found.carried[0]] == pytest.approx([0.7] * 3, abs=1e-5)
    reported = {item.id for item in halves(suite()).report.items}
    assert {one.base for one in found.carried[0]} <= reported
    assert {one.candidate for one in found.carried[0]} <= {f"agree {id}" for id in reported}
    assert measure(TRUE).carried == {}  # of a suite nothing is the candidate's own


def test_what_chance_carries_too_or_costs_too_much_is_not_told() -> None:
    assert own_words(TRUE).carried[0]
    assert own_words(TRUE, PLAN_THAT_BEARS_NOTHING).carried == {}
    astray = bank(*(basis(d) for d in (5, 6, 7, 8, 9, 10)))
    assert own_words(astray).carried == {}
