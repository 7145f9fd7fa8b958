"""One statement from several seeds."""

import math

import numpy as np
import pytest

from alerts.causes.combine import combine
from alerts.causes.mediation import Mediation, Trial
from alerts.causes.steering_bench import SteeringBench
from tests.alerts.causes.agreeing import MODELS, TRUE, suite


def test_edits_and_controls_are_put_together_alike_and_the_worst_cost_is_kept() -> None:
    report = SteeringBench(MODELS, suite(), TRUE.layer)

    def one(removed: float, rise: float, control: float) -> Mediation:
        trial = Trial(removed, rise, removed * report.shift_I)
        return Mediation([0], trial, trial, trial, control, [])

    evidence = combine([one(0.6, 0.01, 0.1), one(0.4, 0.03, 0.2)], report, 0.05)
    left = 1 - math.sqrt((0.4**2 + 0.6**2) / 2)
    assert evidence.mediated_five == pytest.approx(left)
    assert evidence.control_p95 == pytest.approx(1 - math.sqrt((0.9**2 + 0.8**2) / 2))
    assert evidence.nll_rise == 0.03
    assert evidence.seeds_agree is True
    assert [seed.five for seed in evidence.by_seed] == [0.6, 0.4]
    assert evidence.five_interval == pytest.approx((left, left))
    void = combine([one(0.6, 0.01, 0.1), one(0.4, 0.06, 0.2)], report, 0.05)
    assert [seed.five for seed in void.by_seed] == [0.6, None]
    assert void.mediated_five is None and np.isclose(void.nll_rise or 0, 0.06)


def test_one_seed_below_its_own_control_is_no_agreement_though_all_together_are_above() -> None:
    report = SteeringBench(MODELS, suite(), TRUE.layer)

    def one(removed: float, control: float) -> Mediation:
        trial = Trial(removed, 0.0, removed * report.shift_I)
        return Mediation([0], trial, trial, trial, control, [])

    evidence = combine([one(0.6, 0.1), one(0.2, 0.3)], report, 0.05)
    assert evidence.mediated_five is not None and evidence.control_p95 is not None
    assert evidence.mediated_five > evidence.control_p95
    assert evidence.seeds_agree is False
