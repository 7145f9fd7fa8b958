"""The bench of token alignment counts what it says it counts."""

import random

import pytest

from deploy.bench.alignment.measure import share, tally
from deploy.bench.alignment.texts import TEXTS, chat
from dfc.alignment import LocatedTokens


def reading(*ends: int | None) -> LocatedTokens:
    spans = tuple(None if end is None else 0 for end in ends)
    return LocatedTokens(tuple(range(7, 7 + len(ends))), ends, spans)


def test_one_token_against_sixty_loses_nothing_but_exceeds_a_window() -> None:
    found = tally(reading(None, 60, 61), reading(*range(1, 61), None, 61))
    assert (found.tokens, found.kept, found.aligned, found.windowed) == (2, 2, 1, 0)


@pytest.mark.parametrize(("lost", "aligned"), [(16, 1), (17, 0)])
def test_a_long_stretch_without_a_common_place_is_not_aligned(lost: int, aligned: int) -> None:
    odd = reading(1, *range(3, 3 + 2 * lost, 2), 99)
    even = reading(1, *range(4, 4 + 2 * lost, 2), 99)
    found = tally(odd, even)
    assert (found.aligned, found.kept, found.tokens) == (aligned, 2, 2 + lost)


def test_a_share_has_its_exact_interval() -> None:
    found = share(100, 100)
    assert found is not None
    assert (found["share"], found["n"], found["high"]) == (1, 100, 1)
    assert found["low"] == pytest.approx(0.025 ** (1 / 100))
    assert share(0, 0) is None


@pytest.mark.parametrize("kind", TEXTS)
def test_texts_are_those_of_their_seed(kind: str) -> None:
    make = TEXTS[kind]
    assert make(random.Random("1")) == make(random.Random("1")) != make(random.Random("2"))


def test_chats_end_with_an_answer() -> None:
    r = random.Random(0)
    assert {chat(r)[-1]["role"] for _ in range(30)} == {"assistant"}
