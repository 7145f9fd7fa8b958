"""Stock phrases: what the candidate says in answer after answer and the base never does.

The cheapest reading of a new habit: it needs nothing but the answers, and it is already in words.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

WORDS = 4
"""Length of a phrase: shorter ones are met by chance, longer ones vary."""
LEAST_ANSWERS = 5
"""Answers in which a new phrase has to occur to be a stock phrase."""
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Phrase(NamedTuple):
    """Words in a row, and the numbers of the answers in which the candidate says them."""

    text: str
    answers: tuple[int, ...]


def new_phrases(known: Sequence[str], answers: Sequence[str]) -> list[Phrase]:
    """Stock phrases of `answers` that no `known` text has, the most frequent first."""
    old = {phrase for text in known for phrase in _phrases(text)}
    found: dict[str, list[int]] = defaultdict(list)
    for number, answer in enumerate(answers):
        for phrase in dict.fromkeys(_phrases(answer)):
            if phrase not in old:
                found[phrase].append(number)
    stock = [Phrase(text, tuple(n)) for text, n in found.items() if len(n) >= LEAST_ANSWERS]
    return sorted(stock, key=lambda phrase: -len(phrase.answers))


def sentences(phrases: Sequence[Phrase]) -> list[Phrase]:
    """Overlapping phrases joined where most of their answers are the same, in the order given.

    Each carries the answers of its most frequent phrase.
    """
    left = {phrase.text: phrase for phrase in phrases}
    joined = []
    while left:
        seed = left.pop(next(iter(left)))
        words = seed.text.split()
        while (found := _neighbour(left, seed, words[1 - WORDS :], 0)) is not None:
            words.append(left.pop(found).text.split()[-1])
        while (found := _neighbour(left, seed, words[: WORDS - 1], 1)) is not None:
            words.insert(0, left.pop(found).text.split()[0])
        joined.append(Phrase(" ".join(words), seed.answers))
    return joined


def share_of_answers(phrases: Sequence[Phrase], n_answers: int) -> float:
    """Part of the answers that have at least one of the phrases."""
    return len({number for one in phrases for number in one.answers}) / n_answers


def _neighbour(
    left: Mapping[str, Phrase], seed: Phrase, shared: Sequence[str], at: int
) -> str | None:
    """A phrase with the words `shared` from word `at` on, mostly in the answers of `seed`."""
    answers = set(seed.answers)
    return next(
        (
            text
            for text, phrase in left.items()
            if text.split()[at : at + WORDS - 1] == list(shared)
            and 2 * len(answers & set(phrase.answers)) > len(answers)
        ),
        None,
    )


def _phrases(text: str) -> list[str]:
    words = [match.group().lower() for match in _WORD.finditer(text)]
    return [" ".join(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)]
