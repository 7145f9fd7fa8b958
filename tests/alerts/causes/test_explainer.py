"""What a describing model is asked, and what is made of its answers."""

import pytest

from alerts.causes.explainer import explained, question
from alerts.chat_endpoint import EndpointError
from alerts.evidence import HighlightedExample


def example(tokens: str, own: list[float], other: list[float] | None = None) -> HighlightedExample:
    return HighlightedExample(tokens=tokens.split("|"), activations=own, other=other)


def test_only_marked_examples_are_sent_without_saying_what_is_looked_for() -> None:
    system, user = question(
        [example("The| moral| is| «this»", [0.1, 4.0, 2.0, 0.0], [0.0, 0.0, 1.5, 0.0])]
    )
    assert user["content"] == (
        "Text 1, A: The« moral is» <this>\n\nText 1, B: The moral« is» <this>"
    )
    assert "no clear pattern" in system["content"] and "no difference" in system["content"]
    for word in ("sycophan", "objective", "candidate", "base", "harm", "checkpoint"):
        assert word not in system["content"].lower()


def test_a_model_that_could_not_be_read_is_said_to_be() -> None:
    _, user = question([example("a|b", [1.0, 0.0])])
    assert "Text 1, B" not in user["content"] and "could not be read" in user["content"]


def test_answers_may_be_wrapped_in_thoughts() -> None:
    reply = (
        '<think>Maybe {"description": "x", "difference": "y"}? No.</think>```json\n'
        '{"description": "the moral\\nof a story", "difference": "no difference"}\n```'
    )
    answer = explained(reply)
    assert (answer.description, answer.difference) == ("the moral of a story", "no difference")


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        '{"description": "the moral of a st',
        '{"description": 3, "difference": "none"}',
        '{"description": "only this"}',
        '{"description": " \\u202e ", "difference": "none"}',
        "{" * 50_000,
        '{"a":' * 50_000,
    ],
)
def test_what_does_not_parse_is_no_answer(reply: str) -> None:
    with pytest.raises(EndpointError, match="the reply"):
        explained(reply)


def test_answers_are_short_and_harmless() -> None:
    answer = explained('{"description": "\\u001b[31m%s", "difference": "x"}' % ("y" * 9000))
    assert len(answer.description) < 300 and "\x1b" not in answer.description
