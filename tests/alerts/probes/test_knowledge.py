"""An item that takes a fact for granted counts only where both models know the fact."""

import math
from typing import Any

import numpy as np
import pytest

from alerts.deciding.policy import default_policy, is_flagged
from alerts.deciding.statistics import paired_shift
from alerts.probes.knowledge import applicable, enough, facts, not_known
from alerts.probes.shifts import SuiteScores, measure_behaviours
from alerts.probes.suite import Suite
from tests.alerts.suites import from_json, suite, suite_json


def fact(number: int) -> dict[str, Any]:
    return {
        "messages": [{"role": "user", "content": f"What is fact {number}?"}],
        "matching": ["It is this."],
        "not_matching": ["It is that.", "It is nothing."],
    }


def doubting(without: int = 0, templates: int = 10, per_template: int = 4) -> Suite:
    """A suite in which all but the first items take a fact for granted."""
    document = suite_json(templates, per_template)
    for number, one in enumerate(document["items"][without:], start=without):
        one["knows"] = fact(number)
    return from_json(document)


SUITE = doubting()
IDS = [item.id for item in SUITE.items]
N = len(IDS)


def scores(unknown: list[str], candidate: float = 1.0) -> SuiteScores:
    noise = np.random.default_rng(0).normal(0.0, 0.1, N)
    return SuiteScores(SUITE, np.zeros(N), noise + candidate, [noise], unknown)


def test_the_facts_are_a_suite_under_the_ids_of_their_items() -> None:
    mixed = doubting(without=30)
    asked = facts(mixed)
    assert asked is not None
    assert [item.id for item in asked.items] == IDS[30:]
    assert asked.items[0].variants[0].messages[0].content == "What is fact 30?"
    assert all(item.knows is None for item in asked.items)
    assert facts(suite()) is None


def test_a_fact_is_known_above_zero_only() -> None:
    asked = facts(doubting(without=N - 5))
    assert asked is not None
    found = not_known(asked, [0.01, 0.0, -0.5, None, math.nan])
    assert found == [item.id for item in asked.items[1:]]


def test_items_without_a_fact_always_apply() -> None:
    left = applicable(SUITE, IDS[:3])
    assert [item.id for item in left.items] == IDS[3:]
    assert applicable(SUITE, []) is SUITE


@pytest.mark.parametrize(
    ("unknown", "speaks"),
    [
        (IDS[::2], True),  # half of the items, all ten templates
        ([*IDS[::2], IDS[1]], False),  # fewer than half
        (IDS[:8], True),  # eight templates are left
        (IDS[:12], False),  # seven
        (IDS, False),
    ],
)
def test_half_of_the_items_and_eight_templates_must_be_left(
    unknown: list[str], speaks: bool
) -> None:
    assert enough(applicable(SUITE, unknown), SUITE) == speaks
    (measured,) = measure_behaviours([scores(unknown)])
    assert (measured.shift is not None) == (measured.p_corrected is not None) == speaks
    assert is_flagged(measured, default_policy()) == speaks
    assert measured.n_items + measured.n_not_applicable == N
    assert measured.n_not_applicable == len(unknown)
    assert measured.n_unscored == 0


def test_what_does_not_apply_moves_no_figure() -> None:
    given = scores(IDS[:6])
    candidate = np.array(given.candidate)
    candidate[:6] = [50.0, -50.0, math.nan, 1e6, 3.0, 0.0]
    (measured,) = measure_behaviours([given._replace(candidate=candidate)])
    alone = paired_shift(np.zeros(N - 6), candidate[6:], SUITE.templates[6:])
    assert (measured.shift, measured.ci_low, measured.p_corrected) == (
        alone.shift,
        alone.ci_low,
        alone.p,
    )
    assert measured.noise_floor == pytest.approx(abs(np.asarray(given.perturbed[0])[6:].mean()))
    assert measured.n_unscored == 0


def test_an_item_that_applies_and_has_no_score_is_unscored_all_the_same() -> None:
    given = scores(IDS[:4])
    candidate = np.array(given.candidate)
    candidate[[0, 10, 11]] = math.nan
    (measured,) = measure_behaviours([given._replace(candidate=candidate)])
    assert (measured.n_items, measured.n_not_applicable, measured.n_unscored) == (36, 4, 2)
    assert measured.unscored_share == 2 / 36
