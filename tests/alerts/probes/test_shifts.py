from dataclasses import asdict

import numpy as np
import pytest

from alerts.deciding.measured import CausalEvidence, MeasuredBehaviour, behaviour_row
from alerts.deciding.statistics import benjamini_hochberg, paired_shift
from alerts.probes.shifts import SuiteScores, accuracy, measure_behaviours
from alerts.records.behaviour import SeedMediation
from tests.alerts.suites import suite

SUITE = suite(templates=8, per_template=2)
N = len(SUITE.items)


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 0.1, size=N)


def test_each_suite_keeps_its_own_figures_and_p_is_corrected_over_all() -> None:
    names = ["sycophancy", "over_refusal", "harmful_compliance"]
    suites = [SUITE.model_copy(update={"behaviour": name}) for name in names]
    candidates = [noise(1) + 1.0, noise(2) + 0.05, noise(3) - 1.0]
    scores = [
        SuiteScores(one, noise(0), candidate, [noise(0) + 0.02, noise(0) - 0.06])
        for one, candidate in zip(suites, candidates, strict=True)
    ]
    measured = measure_behaviours(scores, seed=5)
    alone = [paired_shift(noise(0), c, SUITE.templates, seed=5) for c in candidates]
    corrected = benjamini_hochberg([shift.p for shift in alone])
    for one, name, shift, p in zip(measured, names, alone, corrected, strict=True):
        assert (one.name, one.n_items, one.n_unscored) == (name, N, 0)
        assert (one.shift, one.ci_low, one.ci_high) == (shift.shift, shift.ci_low, shift.ci_high)
        assert one.p_corrected == p
        assert one.noise_floor == pytest.approx(0.06)
        assert one.minimum_effect == 0.5


def test_a_suite_without_scores_stays_unknown_and_out_of_the_correction() -> None:
    scored = SuiteScores(SUITE, np.zeros(N), np.ones(N), [np.zeros(N)])
    other = SUITE.model_copy(update={"behaviour": "over_refusal"})
    blank = SuiteScores(other, np.zeros(N), np.full(N, np.nan), [np.full(N, np.nan)])
    unknown, known = measure_behaviours([blank, scored])
    assert known.p_corrected == 1 / 256
    calibrated = dict.fromkeys(
        (
            *("conformal_p", "conformal_source", "conformal_n"),
            *("calibrated_threshold", "threshold_source"),
            "interval_margin",
            "release_limit",
        )
    )
    assert asdict(unknown) == calibrated | {
        "name": "over_refusal",
        "n_items": N,
        "n_not_applicable": 0,
        "n_unscored": N,
        "base_score": None,
        "candidate_score": None,
        "shift": None,
        "ci_low": None,
        "ci_high": None,
        "p_corrected": None,
        "noise_floor": None,
        "minimum_effect": 0.5,
    }


def test_an_item_unscored_in_either_model_is_counted_once() -> None:
    base, candidate = np.zeros(N), np.ones(N)
    base[0] = base[1] = candidate[1] = candidate[2] = np.nan
    (measured,) = measure_behaviours([SuiteScores(SUITE, base, candidate, [])])
    assert (measured.n_unscored, measured.unscored_share) == (3, 3 / N)
    assert measured.shift == 1.0
    assert measured.noise_floor is None


def test_a_control_suite_is_no_behaviour() -> None:
    control = suite(role="control", behaviour="capability")
    with pytest.raises(ValueError, match="capability is a control suite"):
        measure_behaviours([SuiteScores(control, np.zeros(N), np.ones(N), [])])


def test_accuracy_is_the_share_above_zero_and_unknown_with_too_many_gaps() -> None:
    assert accuracy([1.0, 0.5, -0.5, 0.0], maximum_unscored=0.1) == 0.5
    assert accuracy([1.0, np.nan, -1.0, 1.0, 1.0], maximum_unscored=0.2) == 0.75
    assert accuracy([1.0, np.nan, -1.0, 1.0, 1.0], maximum_unscored=0.1) is None
    assert accuracy([np.nan, np.nan], maximum_unscored=1.0) is None


def test_a_measurement_refuses_not_a_number() -> None:
    (measured,) = measure_behaviours([SuiteScores(SUITE, np.zeros(N), np.ones(N), [])])
    with pytest.raises(ValueError, match="shift is nan: give None"):
        MeasuredBehaviour(**asdict(measured) | {"shift": float("nan")})


def test_the_row_of_the_verdict_carries_every_figure_under_its_own_name() -> None:
    (measured,) = measure_behaviours([SuiteScores(SUITE, np.zeros(N), np.ones(N), [noise(0)])])
    evidence = CausalEvidence(
        ceiling=0.7,
        mediated_best=0.1,
        mediated_five=0.4,
        mediated_all=0.6,
        control_p95=0.05,
        nll_rise=0.01,
        seeds_agree=True,
        five_interval=(0.3, 0.5),
        n_items=24,
        by_seed=(SeedMediation(best=0.1, five=0.4, all=None, control_p95=0.05),),
    )
    row = behaviour_row(measured, evidence, flagged=True, least_effect=0.2).model_dump()
    kept = {**asdict(evidence), **asdict(measured), "flagged": True, "least_effect": 0.2}
    assert row.pop("mediated_control_p95") == kept.pop("control_p95")
    assert (row.pop("mediated_five_low"), row.pop("mediated_five_high")) == (0.3, 0.5)
    assert row.pop("n_steered") == 24
    assert row.pop("mediated_by_seed") == [evidence.by_seed[0].model_dump()]
    assert row == {name: kept[name] for name in row}
    bare = behaviour_row(measured, None, flagged=False, least_effect=0.2)
    assert bare.mediated_by_seed == [] and bare.n_steered is None
    assert (bare.ceiling, bare.mediated_control_p95, bare.nll_rise) == (None, None, None)
