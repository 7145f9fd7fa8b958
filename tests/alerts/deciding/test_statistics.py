import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from alerts.deciding.noise import NotMeasurableError, noise_floor
from alerts.deciding.resampling import MONTE_CARLO_FLIPS, cluster_bootstrap, sign_flip
from alerts.deciding.statistics import benjamini_hochberg, paired_shift

scores = st.floats(-8.0, 8.0, allow_nan=False)
pairs = st.lists(st.tuples(scores, scores, st.sampled_from("abcdef")), min_size=6, max_size=24)
p_values = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def split(rows: list[tuple[float, float, str]]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores of at least two templates."""
    rows = [*rows, (0.0, 1.0, "x"), (1.0, 0.5, "y")]
    base, candidate, templates = zip(*rows, strict=True)
    return np.array(base), np.array(candidate), list(templates)


def test_shift_by_hand() -> None:
    shift = paired_shift([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 2.0, 7.0], ["a", "a", "b", "b"])
    assert shift.shift == pytest.approx(7 / 4)
    assert (shift.base_score, shift.candidate_score) == (1.5, 3.25)
    # Template sums 3 and 4: of the totals 7, 1, -1, -7 only the observed one reaches 7.
    assert (shift.p, shift.n_flips, shift.n_templates, shift.n_items) == (0.25, 4, 2, 4)
    # The item means of the three possible draws of templates are 1.5, 1.75 and 2.
    assert (shift.ci_low, shift.ci_high) == (1.5, 2.0)


def test_eight_templates_that_all_rise_reach_1_in_256_which_survives_correction() -> None:
    shift = paired_shift(np.zeros(16), np.ones(16), [f"t{n // 2}" for n in range(16)])
    assert shift.p == 1 / 256
    assert shift.n_flips == 256
    assert benjamini_hochberg([shift.p] + [1.0] * 11)[0] <= 0.05


def test_items_of_one_template_do_not_count_as_evidence_of_their_own() -> None:
    templates = ["a"] * 50 + ["b"] * 50
    shift = paired_shift(np.zeros(100), np.ones(100), templates)
    assert shift.p == 0.25


def test_identical_scores_are_exactly_no_shift() -> None:
    values = rng().normal(size=24)
    shift = paired_shift(values, values, [f"t{n % 8}" for n in range(24)])
    assert (shift.shift, shift.ci_low, shift.ci_high, shift.p) == (0.0, 0.0, 0.0, 1.0)


def test_exact_p_is_the_share_of_all_sign_patterns() -> None:
    sums = rng(3).normal(0.4, 1.0, size=9)
    totals = [np.dot(signs, sums) for signs in itertools.product((1.0, -1.0), repeat=9)]
    expected = np.mean([total >= sums.sum() - 1e-12 for total in totals])
    test = sign_flip(sums, rng())
    assert test.p == pytest.approx(expected)
    assert (test.n_flips, test.exact) == (512, True)


def test_seventeen_templates_are_sampled_with_the_observed_pattern_counted() -> None:
    test = sign_flip(np.ones(17), rng())
    assert (test.n_flips, test.exact) == (MONTE_CARLO_FLIPS, False)
    assert test.p >= 1 / (MONTE_CARLO_FLIPS + 1)
    assert sign_flip(np.ones(16), rng()) == (1 / 65_536, 65_536, True)


def test_monte_carlo_agrees_with_the_normal_limit() -> None:
    sums = rng(5).normal(0.2, 1.0, size=40)
    expected = float(norm.sf(sums.sum() / np.sqrt((sums**2).sum())))
    assert sign_flip(sums, rng()).p == pytest.approx(expected, abs=0.02)


def test_unscored_items_are_left_out_in_both_models_and_counted() -> None:
    templates = ["a", "a", "b", "b", "c"]
    full = paired_shift([0.0, 1.0, 2.0], [2.0, 2.0, 5.0], ["a", "b", "b"])
    gappy = paired_shift([0.0, np.nan, 1.0, 2.0, 4.0], [2.0, 9.0, 2.0, 5.0, -np.inf], templates)
    assert gappy._replace(n_unscored=0) == full
    assert gappy.n_unscored == 2


def test_without_two_templates_there_is_no_shift() -> None:
    with pytest.raises(NotMeasurableError, match="0 of 2 items"):
        paired_shift([np.nan, np.nan], [1.0, 1.0], ["a", "b"])
    with pytest.raises(NotMeasurableError, match="from 1 templates"):
        paired_shift([0.0, 0.0], [1.0, 1.0], ["a", "a"])


def test_scores_of_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="do not belong to the same items"):
        paired_shift([0.0, 0.0], [1.0, 1.0], ["a", "b", "c"])


@settings(deadline=None, max_examples=40)
@given(pairs, st.floats(-4.0, 4.0))
def test_a_constant_added_to_both_models_changes_nothing(
    rows: list[tuple[float, float, str]], constant: float
) -> None:
    base, candidate, templates = split(rows)
    plain = paired_shift(base, candidate, templates, n_bootstrap=50)
    moved = paired_shift(base + constant, candidate + constant, templates, n_bootstrap=50)
    assert (moved.shift, moved.ci_low) == pytest.approx((plain.shift, plain.ci_low), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(pairs, st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_matter(
    rows: list[tuple[float, float, str]], shuffler: object
) -> None:
    base, candidate, templates = split(rows)
    order = list(range(len(templates)))
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    plain = paired_shift(base, candidate, templates, n_bootstrap=50)
    mixed = paired_shift(
        base[order], candidate[order], [templates[i] for i in order], n_bootstrap=50
    )
    assert mixed == pytest.approx(plain, abs=1e-9)


NEARLY_NOTHING = [
    *[(0.0, 1.5, "a")] * 3,
    *[(0.0, 1.375, "a")] * 2,
    *[(0.0, 1.5625, "e"), (0.0, 0.5, "a"), (0.0, -0.25, "a"), (4.0, -5.0, "f"), (1.5, 0.0, "a")],
    *[(1.25, 0.0, "a")] * 2,
    *[(1.25, -1.875, "a"), (1.625, 0.0, "c"), (1.875, -1.125, "a"), (1.2000000000000002, 0.0, "d")],
    *[(-1.75, 0.0, "a"), (-7.625, 3.0, "b")],
]
"""Large differences that nearly cancel: their total is less than what rounding does to them."""


@settings(deadline=None, max_examples=40)
@given(pairs)
@example(NEARLY_NOTHING)
def test_swapping_the_models_turns_the_shift_around(rows: list[tuple[float, float, str]]) -> None:
    base, candidate, templates = split(rows)
    there = paired_shift(base, candidate, templates, n_bootstrap=50)
    back = paired_shift(candidate, base, templates, n_bootstrap=50)
    assert (back.shift, back.ci_low, back.ci_high) == pytest.approx(
        (-there.shift, -there.ci_high, -there.ci_low), abs=1e-9
    )
    assert there.p + back.p > 1.0
    assert there.ci_low <= there.shift + 1e-9


def test_p_is_uniform_and_the_error_rate_holds_when_templates_move_together() -> None:
    """1,500 null data sets, 8 templates of 5 items, most of the variance between templates."""
    chance = rng(11)
    p = []
    for _ in range(1_500):
        template_effects = chance.normal(0.0, 1.0, size=(8, 1))
        differences = template_effects + chance.normal(0.0, 0.5, size=(8, 5))
        p.append(sign_flip(differences.sum(axis=1), chance).p)
    for level in (13 / 256, 0.25, 0.5, 0.75):
        rate = np.mean(np.array(p) <= level)
        reachable = np.floor(level * 256) / 256
        assert abs(rate - reachable) < 4 * np.sqrt(level * (1 - level) / 1_500)


def test_the_interval_covers_the_true_shift_nearly_as_often_as_it_says() -> None:
    chance = rng(12)
    covered = []
    for _ in range(400):
        differences = 0.7 + chance.normal(0, 1, size=(20, 1)) + chance.normal(0, 1, size=(20, 3))
        interval = cluster_bootstrap(
            differences.sum(axis=1), np.full(20, 3.0), 400, np.random.default_rng(1)
        )
        covered.append(interval.low <= 0.7 <= interval.high)
    assert 0.88 <= np.mean(covered) <= 0.98


@settings(deadline=None)
@given(p_values)
def test_correction_keeps_the_order_and_never_lowers_a_p(p: list[float]) -> None:
    adjusted = benjamini_hochberg(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= 1.0).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0.0).all()


@settings(deadline=None)
@given(p_values, st.data())
def test_correction_falls_when_a_p_falls(p: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(p) - 1))
    lower = [*p]
    lower[index] = data.draw(st.floats(0.0, p[index]))
    assert (benjamini_hochberg(lower) <= benjamini_hochberg(p) + 1e-15).all()


def test_correction_by_hand() -> None:
    assert benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert len(benjamini_hochberg([])) == 0
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg([0.1, float("nan")])


@settings(deadline=None)
@given(st.lists(st.floats(-5.0, 5.0), min_size=1, max_size=8))
def test_noise_floor_is_a_size_that_no_null_shift_exceeds(null_shifts: list[float]) -> None:
    floor = noise_floor(null_shifts)
    assert all(abs(shift) <= floor.floor for shift in null_shifts)
    assert floor.floor in [abs(shift) for shift in null_shifts]
    assert floor.n == len(null_shifts)


@pytest.mark.parametrize("null_shifts", [[], [0.1, float("nan")], [float("inf")]])
def test_noise_floor_of_nothing_is_refused(null_shifts: list[float]) -> None:
    with pytest.raises(NotMeasurableError):
        noise_floor(null_shifts)
