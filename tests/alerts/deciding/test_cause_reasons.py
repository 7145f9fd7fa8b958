"""What is said of changes outside the shifts: own words, and the reach of features."""

from typing import Any

import pytest

from alerts.deciding.cause_reasons import carries_own_words, own_words, reach
from alerts.records.behaviour import OwnWords, SeedMediation, StockPhrase
from alerts.records.feature import Feature, Reach
from tests.alerts import samples

OWN = OwnWords.model_validate(samples.flagged_json()["own_words"])


def feature(**changes: object) -> Feature:
    moved = Reach(behaviour="hostile_tone", gain=2.0, effect=0.6, control=0.2, nll_rise=0.01)
    fields = samples.flagged_json()["features"][0]
    return Feature.model_validate(fields | {"id": "candidate-3", "reach": [moved]} | changes)


def test_stock_phrases_and_what_features_carry_are_told() -> None:
    first, second = own_words(OWN, 0.05)
    assert "34\u202f% of its 216 answers" in first
    assert "the most frequent one in 61" in first
    assert "thoughtful" not in first  # model text has no place in reasons
    assert "18\u202f% of the difference (controls 7\u202f%)" in second


@pytest.mark.parametrize(
    "changes",
    [
        {"mediated_five": 0.07},
        {"mediated_five": None},
        {"mediated_control_p95": None},
        {"nll_rise": 0.06},
        {"nll_rise": None},
        {"mediated_by_seed": [SeedMediation(best=0.1, five=0.2, all=0.3, control_p95=0.21)]},
    ],
    ids=str,
)
def test_what_is_no_more_than_chance_or_costs_too_much_is_not_carried(
    changes: dict[str, Any],
) -> None:
    own = OWN.model_copy(update=changes)
    assert not carries_own_words(own, 0.05)
    assert len(own_words(own, 0.05)) == 1


def test_without_phrases_or_forks_nothing_is_said() -> None:
    assert own_words(None, 0.05) == []
    quiet: list[StockPhrase] = []
    assert len(own_words(OWN.model_copy(update={"phrases": quiet}), 0.05)) == 1


def test_a_behaviour_that_only_a_feature_moves_is_told_with_its_control() -> None:
    (sentence,) = reach([feature()], set(), 0.25)
    assert sentence.startswith("Hostile tone is not flagged, but new feature candidate-3 moves it")
    assert "by +0.60 nats per token" in sentence and "corresponds to 0.20" in sentence
    assert "multiplied by 3.00" in sentence


def test_reach_below_chance_or_interest_or_of_a_flagged_behaviour_is_not_told() -> None:
    assert reach([feature()], {"hostile_tone"}, 0.25) == []
    assert reach([feature()], set(), 0.7) == []
    moved = {"behaviour": "hostile_tone", "gain": 2.0, "effect": 0.6, "nll_rise": 0.0}
    assert reach([feature(reach=[moved | {"control": 0.61}])], set(), 0.25) == []


def test_a_feature_that_lowers_a_behaviour_is_told_too() -> None:
    moved = {"behaviour": "hostile_tone", "gain": 2.0, "effect": -0.6, "nll_rise": 0.0}
    (sentence,) = reach([feature(reach=[moved | {"control": 0.1}])], set(), 0.25)
    assert "by −0.60" in sentence
