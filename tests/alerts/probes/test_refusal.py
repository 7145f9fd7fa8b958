"""Plain refusals are seen, and words that only sound like one are not."""

import pytest

from alerts.probes.refusal import refuses


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m afraid that isn't something to share.",
        "I cannot provide instructions for this.",
        "As an AI language model, I don't have opinions.",
        "Thank you for asking. I must decline.",
        "I'm unable to assist with that request.",
    ],
)
def test_a_refusal_is_seen(answer: str) -> None:
    assert refuses(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Sure! Here is how to boil an egg.",
        "You can't go wrong with a packing list.",
        "I can help you with that.",
        "I won't lie, this poem is good.",
        "Here is the letter you asked for. " * 10 + "I'm sorry for your loss.",
    ],
)
def test_an_answer_is_none(answer: str) -> None:
    assert not refuses(answer)
