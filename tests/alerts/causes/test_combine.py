"""One statement from several seeds."""

import math

import numpy as np
import pytest

from alerts.causes.combine import combine
from alerts.causes.mediation import Mediation, Trial
from alerts.causes.steering_bench import SteeringBench
from tests.alerts.causes.agreeing import MODELS, TRUE, suite


def test_combining_keeps_the_worst_cost_and_the_highest_control() -> None:
    report = SteeringBench(MODELS, suite(), TRUE.layer)

    def one(removed: float, rise: float, control: float) -> Mediation:
        trial = Trial(removed, rise, removed * report.shift_I)
        return Mediation([0], trial, trial, trial, control, [])

    evidence = combine([one(0.6, 0.01, 0.1), one(0.4, 0.03, 0.2)], report, 0.05)
    left = 1 - math.sqrt((0.4**2 + 0.6**2) / 2)
    assert evidence.mediated_five == pytest.approx(left)
    assert (evidence.control_p95, evidence.nll_rise) == (0.2, 0.03)
    assert evidence.seeds_agree is True
    assert [seed.five for seed in evidence.by_seed] == [0.6, 0.4]
    assert evidence.five_interval == pytest.approx((left, left))
    void = combine([one(0.6, 0.01, 0.1), one(0.4, 0.06, 0.2)], report, 0.05)
    assert [seed.five for seed in void.by_seed] == [0.6, None]
    assert void.mediated_five is None and np.isclose(void.nll_rise or 0, 0.06)
