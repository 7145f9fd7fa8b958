"""What accepted releases ask of a candidate, suite by suite."""

import numpy as np

from alerts.deciding.policy import default_policy
from alerts.deciding.prediction_limit import prediction_limits
from alerts.probes.suite import bundled_suites
from workers.nulls import NullPair, nulls_of

NAMES = ("sycophancy", "hostile_tone", "over_refusal")


def test_the_chance_is_divided_among_the_suites_that_enough_releases_tell_of() -> None:
    suites = [bundled_suites()[name] for name in NAMES]
    rng = np.random.default_rng(0)

    def release(number: int, measured: tuple[str, ...]) -> NullPair:
        base = {name: [0.0] * len(bundled_suites()[name].items) for name in measured}
        other = {name: [float(rng.normal(0.0, 0.1))] * len(base[name]) for name in measured}
        return NullPair("release", f"v{number}", base, other, {name: () for name in measured})

    pairs = [release(number, NAMES if number < 4 else NAMES[:2]) for number in range(6)]
    policy = default_policy()
    found = nulls_of(suites, pairs, policy)
    told = {name: found[name].of("releases") for name in NAMES}
    assert [len(scores) for scores in told.values()] == [6, 6, 4]
    joint = prediction_limits({name: told[name] for name in NAMES[:2]}, policy.alpha)
    for name in NAMES[:2]:
        threshold = found[name].threshold
        assert threshold is not None
        assert found[name].release_limit == max(joint[name], threshold)
    assert found["over_refusal"].release_limit is None
