"""The plain label of a feature."""

from typing import Any

import pytest

from alerts.causes.feature_label import FeatureFacts, feature_label
from dfc.screening.places import FiringProfile, Place

EVENLY = [0.1] * 10
AT_THE_END = [0.0] * 8 + [0.1, 0.9]


def profile(
    text: float = 0.0,
    prompt: float = 0.0,
    base: float = 0.0,
    candidate: float = 0.0,
    template: float | None = 0.02,
    tenths: list[float] | None = None,
) -> FiringProfile:
    rates: dict[Place, float] = {
        "text": text,
        "prompt": prompt,
        "base answer": base,
        "candidate answer": candidate,
    }
    return FiringProfile(template, rates, tenths)


MORAL = FeatureFacts(
    side="candidate",
    raised=[" moral", " lesson", " teaches", " story"],
    lowered=[],
    written=["ze", "qu"],
    read=[],
    profile=profile(prompt=0.02, base=0.04, candidate=0.94, tenths=AT_THE_END),
    elsewhere=0.03,
)


def label(**changes: Any) -> str:
    return feature_label(MORAL._replace(**changes))


def test_a_planted_ending_can_be_read() -> None:
    assert label() == (
        "raises ' moral', ' lesson', ' teaches'; fires in the last tenth of answers, mostly of the "
        "candidate's own; in the base hardly"
    )


def test_what_is_lowered_and_read_is_named() -> None:
    assert label(lowered=[" AI"], read=["I", " am"]).startswith(
        "raises ' moral', ' lesson', ' teaches', lowers ' AI'; fires on 'I', ' am' in the last"
    )


@pytest.mark.parametrize("nothing", [None, []])
def test_the_lens_speaks_where_nothing_stands_out(nothing: list[str] | None) -> None:
    assert label(raised=nothing, lowered=nothing).startswith("writes 'ze', 'qu'; fires")


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (profile(template=0.5, candidate=1.0), "fires in the chat template (50\u202f% of its"),
        (profile(base=0.4, candidate=0.5, tenths=EVENLY), "fires in answers; in the"),
        (profile(base=0.7, candidate=0.3, tenths=EVENLY), "in answers, mostly of the base's own"),
        (
            profile(base=0.5, candidate=0.5, tenths=AT_THE_END[::-1]),
            "in the first tenth of answers",
        ),
        (
            profile(candidate=1.0, tenths=[0.025] * 7 + [0.2, 0.3, 0.325]),
            "the last fifth of answers",
        ),
        (profile(candidate=1.0, tenths=[0.05] * 7 + [0.2, 0.2, 0.25]), "the last third of answers"),
        (profile(candidate=1.0, tenths=None, template=None), "fires in answers, mostly"),
        (profile(prompt=0.8, candidate=0.2), "fires in prompts"),
        (profile(text=0.7, candidate=0.3), "fires in plain texts"),
        (profile(text=0.3, prompt=0.4, candidate=0.3), "fires in all kinds of text"),
    ],
)
def test_the_place_is_named(found: FiringProfile, words: str) -> None:
    assert words in label(profile=found)


@pytest.mark.parametrize(
    ("side", "elsewhere", "words"),
    [
        ("candidate", 0.5, "; in the base less strongly"),
        ("candidate", 1.0, "; in the base as strongly"),
        ("base", 2.0, "; in the candidate more strongly"),
    ],
)
def test_the_other_model_is_named(side: str, elsewhere: float, words: str) -> None:
    assert label(side=side, elsewhere=elsewhere).endswith(words)


def test_nothing_is_made_up_where_models_cannot_be_compared() -> None:
    assert label(raised=None, lowered=None, profile=None, elsewhere=None) == "writes 'ze', 'qu'"
    bare = label(raised=None, lowered=None, written=["\ufffd", ""], profile=None, elsewhere=None)
    assert bare == ""


def test_tokens_are_literals_and_short() -> None:
    found = label(raised=["\u202egnp", "\x1b[31m", "\n", "y" * 99])
    assert found.startswith(r"raises '\u202egnp', '\x1b[31m', '\n'; fires")
    assert "y" * 21 not in label(raised=["y" * 99])
