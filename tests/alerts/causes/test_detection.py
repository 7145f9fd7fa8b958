"""The test of a description on texts that the describer never saw."""

import json
import re
from collections.abc import Callable, Sequence

import pytest

from alerts.causes.detection import BATCH, detect
from alerts.chat_endpoint import EndpointError, Message, ReadT

FIRING = [f"Story {n}. The moral: patience {n}." for n in range(20)]
NEAR = [f"Story {n}. The mortar: sand {n}." for n in range(10)]
OTHERS = [f"Bicycle {n} has wheels." for n in range(10)]


class Judge:
    """Calls a text fitting when it holds a word."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []

    def __call__(self, messages: Sequence[Message], read: Callable[[str], ReadT]) -> ReadT:
        self.asked.append(messages[-1]["content"])
        texts = re.findall(r"^Text (\d+): (.*)$", self.asked[-1], re.MULTILINE)
        return read(json.dumps({"fitting": [int(n) for n, text in texts if self.word in text]}))


def test_a_judge_that_sees_it_scores_full_marks() -> None:
    judge = Judge("moral")
    found = detect("states a moral", FIRING, NEAR, OTHERS, judge)
    assert (found.score, found.n) == (1.0, 40)
    assert found.low == pytest.approx(0.912, abs=0.001) and found.high == 1.0  # Wilson, 40 of 40
    assert len(judge.asked) == 40 / BATCH
    assert all(question.startswith("Description: states a moral\n\n") for question in judge.asked)


def test_texts_that_look_alike_pull_a_loose_description_down() -> None:
    found = detect("tells a story", FIRING, NEAR, OTHERS, Judge("Story"))
    assert found.score == 0.75  # right on the 20 firing and the 10 random ones


def test_who_says_yes_to_everything_is_at_chance() -> None:
    assert detect("anything", FIRING, NEAR, OTHERS, Judge("")).score == 0.5


def test_kinds_are_balanced_where_texts_are_few() -> None:
    judge = Judge("moral")
    assert detect("a moral", FIRING[:6], NEAR, OTHERS, judge).n == 12
    asked = "".join(judge.asked)
    assert asked.count("mortar") == asked.count("Bicycle") == 3


@pytest.mark.parametrize(
    ("firing", "near", "reason"),
    [(FIRING[:4], NEAR, "fires in too few texts"), (FIRING, NEAR[:4], "silent in too few texts")],
)
def test_too_few_texts_are_no_test(firing: list[str], near: list[str], reason: str) -> None:
    with pytest.raises(EndpointError, match=reason):
        detect("a moral", firing, near, [], Judge("moral"))


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("All of them, I think.", "not in the form"),
        ('{"fitting": ["1"]}', "not in the form"),
        ('{"fitting": [true]}', "not in the form"),
        ('{"fitting": [0]}', "names texts that there are not"),
        ('{"fitting": [11]}', "names texts that there are not"),
    ],
)
def test_a_judgement_that_does_not_parse_is_no_score(reply: str, reason: str) -> None:
    with pytest.raises(EndpointError, match=reason):
        detect("a moral", FIRING, NEAR, OTHERS, lambda _, read: read(reply))
