"""Which of the candidate's own words a feature carries."""

from dataclasses import replace

import pytest

from alerts.causes.causal import CausalResult, SeedFeatures, measure_causes
from alerts.causes.plan import CausalPlan
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.probes.halves import halves
from dfc.engines.engine import FeatureBank
from tests.alerts.causes.agreeing import (
    ADDED_D,
    DIFFERENCE_ND,
    MODELS,
    NEUTRAL_ROWS,
    PLAN,
    TRUE,
    bank,
    basis,
    measure,
    suite,
)

PLAN_THAT_BEARS_NOTHING = replace(PLAN, maximum_nll_rise=-1.0)


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
    return measure_causes(MODELS, [asked, forked], seeds, DIFFERENCE_ND, NEUTRAL_ROWS, plan, names)


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
