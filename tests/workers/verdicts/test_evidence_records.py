"""Evidence: what a reviewer has to know about the figures."""

import pytest

from dfc.locating.attribution import Attributed
from workers.stages.answers import Answers
from workers.stages.attribute import Attribution
from workers.verdicts.evidence_records import attribution_caveats, unused_caveats


def attribution(gained: float, attributed: float) -> Attribution:
    asked = {"own_words": Attributed(gained, attributed, 1.0), "sycophancy": Attributed(9, 0, 0)}
    return Attribution(directions=16, asked=asked, energy=0.3)


@pytest.mark.parametrize(
    ("gained", "attributed"),
    [(1421.6, 1500.8), (100.0, 51.0), (0.1, 0.5), (-0.2, 0.1)],
)
def test_gradients_that_account_for_the_gain_need_no_caveat(
    gained: float, attributed: float
) -> None:
    assert attribution_caveats(attribution(gained, attributed)) == []


@pytest.mark.parametrize(("gained", "attributed"), [(100.0, 40.0), (100.0, 160.0), (0.1, 0.7)])
def test_gradients_that_miss_the_gain_are_told(gained: float, attributed: float) -> None:
    (caveat,) = attribution_caveats(attribution(gained, attributed))
    assert "may not be those that move its words" in caveat


def test_weights_that_were_not_compared_are_told() -> None:
    def of(*unused: str) -> Answers:
        return Answers(
            prompts=[],
            answers=[],
            mean_length=0.0,
            refusal_rate=0.0,
            answered=1.0,
            unused_weights=list(unused),
        )

    assert unused_caveats(of(), of()) == []
    base, candidate = unused_caveats(of("a"), of("a", "b", "c", "d"))
    assert base.startswith("1 of the base's weights") and "(a)" in base
    assert candidate.startswith("4 of the candidate's weights") and "(a, b, c, ...)" in candidate
    assert "were not compared" in candidate


def test_nothing_attributed_is_nothing_to_tell() -> None:
    assert attribution_caveats(None) == []
    assert attribution_caveats(Attribution(directions=0, asked={}, energy=None)) == []
