"""What is written out in numpy gives what scipy.stats gives, to the last verdict."""

import subprocess
import sys

import numpy as np
import pytest
from scipy import stats

from alerts.causes.detection import wilson
from alerts.deciding.resampling import WHOLE, cluster_bootstrap, sign_flip
from alerts.deciding.statistics import benjamini_hochberg

SEEDS = range(4)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("templates", [2, 8, 30])
def test_the_bootstrap_draws_as_scipy_does(templates: int, seed: int) -> None:
    sums, counts = rng(seed).normal(size=templates), rng(seed).integers(1, 9, templates) * 1.0
    found = stats.bootstrap(
        (sums, counts),
        lambda sums, counts, axis: sums.sum(axis=axis) / counts.sum(axis=axis),
        paired=True,
        n_resamples=2_000,
        method="percentile",
        rng=rng(seed),
    ).confidence_interval
    ours = cluster_bootstrap(sums, counts, 2_000, rng(seed))
    assert (ours.low, ours.high) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("templates", [2, 3, 8, 16, 17, 24])
def test_signs_are_flipped_as_scipy_flips_them(templates: int, seed: int) -> None:
    sums = rng(seed).normal(0.3, 1.0, templates)
    exact = templates <= 16
    found = stats.permutation_test(
        (np.round(sums / np.abs(sums).max() * WHOLE),),
        lambda sums, axis: sums.sum(axis=axis),
        permutation_type="samples",
        alternative="greater",
        n_resamples=65_536 if exact else 9_999,
        rng=rng(seed),
    )
    ours = sign_flip(sums, rng(seed))
    assert ours == (found.pvalue, len(found.null_distribution), exact)


@pytest.mark.parametrize("seed", SEEDS)
def test_corrected_p_values_are_those_of_scipy(seed: int) -> None:
    p = rng(seed).random(12).round(1)  # some are tied
    assert benjamini_hochberg(list(p)) == pytest.approx(stats.false_discovery_control(p))


@pytest.mark.parametrize("n", [1, 10, 40])
def test_the_interval_of_a_share_is_that_of_scipy(n: int) -> None:
    for right in range(n + 1):
        found = stats.binomtest(right, n).proportion_ci(method="wilson")
        assert wilson(right, n) == pytest.approx((found.low, found.high), abs=1e-12)
    assert wilson(0, n)[0] == 0.0 and wilson(n, n)[1] == 1.0


def test_who_compares_starts_without_scipy_stats() -> None:
    modules = "alerts.causes.detection, alerts.deciding.statistics"
    code = f"import sys, {modules}; assert 'scipy.stats' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
