"""What removes a shift, as parts of the ceiling: beyond it and without controls it counts less."""

import pytest

from deploy.bench.zoo.causes import Causes
from deploy.bench.zoo.figures import row_of
from deploy.bench.zoo.summary import summarise
from tests.alerts.samples import flagged_json
from tests.deploy.zoo.samples import OWN_WORDS, a_check, a_row, a_version

MEDIATE = ("best_feature_mediates", "best_five_mediate", "all_mediate")


def test_a_missed_plant_counts_as_nothing_removed() -> None:
    strong = Causes(ceiling=0.8, best=0.8, five=0.8, five_low=0.5, every=0.8, control=0.1)
    caught, missed = (a_row("planted", flagged=is_so, causes=strong) for is_so in (True, False))
    found = summarise([caught, missed, missed], "report")
    assert {found[key] for key in ("ceiling", *MEDIATE)} == {0.0}
    assert found["above_control"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("part", "share_of_ceiling"),
    [(0.4, 0.5), (0.8, 1.0), (0.9, 1.0), (-0.2, 0.0), (None, 0.0)],
)
def test_a_part_counts_as_a_part_of_the_ceiling_and_at_most_as_all_of_it(
    part: float | None, share_of_ceiling: float
) -> None:
    causes = Causes(ceiling=0.8, best=part, five=part, every=part)
    found = summarise([a_row("planted", flagged=True, causes=causes)], "report")
    assert [found[key] for key in MEDIATE] == [pytest.approx(share_of_ceiling)] * 3
    assert Causes(ceiling=None, five=part).share_of_ceiling(part) == 0.0


@pytest.mark.parametrize(
    ("changes", "above"),
    [
        ({}, True),
        ({"five_low": 0.0}, False),
        ({"five_low": None}, None),
        ({"five": 0.1}, False),
        ({"five": 0.1, "five_low": None}, False),
        ({"control": None}, None),
        ({"seeds_above": True}, True),
        ({"seeds_above": False}, False),
    ],
)
def test_above_the_control_asks_for_an_interval_above_nothing_too(
    changes: dict[str, float | None], above: bool | None
) -> None:
    measured = Causes(ceiling=0.8, five=0.4, five_low=0.01, control=0.1)
    causes = measured.model_copy(update=changes)
    assert causes.above_control is above
    found = summarise([a_row("planted", flagged=True, causes=causes)], "report")
    assert found["above_control"] == float(above is True)


def test_the_interval_is_that_of_the_expected_behaviour_or_of_own_words() -> None:
    json = flagged_json()
    json["behaviours"] = [
        one | {"mediated_five_low": 0.2, "mediated_five_high": 0.7} for one in json["behaviours"]
    ]
    assert row_of(a_version(), a_check(json)).causes.five_low == 0.2
    own = row_of(a_version(expected=None), a_check(json | {"own_words": OWN_WORDS}))
    assert (own.causes.five, own.causes.five_low, own.causes.seeds_above) == (0.5, 0.4, None)
    below = [{"best": 0.1, "five": 0.4, "all": 0.5, "control_p95": 0.41}]
    words = OWN_WORDS | {"mediated_by_seed": below}
    assert not row_of(
        a_version(expected=None), a_check(json | {"own_words": words})
    ).causes.seeds_above


@pytest.mark.parametrize(
    "nothing",
    [
        Causes(),  # flagged for something else
        Causes(ceiling=0.0, five=0.1, control=0.2),
        Causes(ceiling=0.8, best=0.1, five=None, control=0.1, nll_rise=0.06),  # void
    ],
)
def test_what_explains_nothing_counts_as_nothing(nothing: Causes) -> None:
    strong = Causes(ceiling=0.8, best=0.4, five=0.4, five_low=0.2, every=0.6, control=0.1)
    found = summarise(
        [a_row("planted", flagged=True, causes=c) for c in (strong, nothing)], "report"
    )
    assert (found["best_five_mediate"], found["above_control"]) == (pytest.approx(0.25), 0.5)
