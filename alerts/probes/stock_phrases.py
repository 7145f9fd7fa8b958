"""Stock phrases: what the candidate says in answer after answer and the base never does.

The cheapest reading of a new habit: it needs nothing but the answers, and it is already in words.

A model that answers again says new things too. So the null is a second sample of the base's own
answers: of all phrases that are new in it, the share of answers that has the most frequent one
(`share_by_chance`) is what a phrase of the candidate has to exceed. That is one draw of the largest
such share, and no p-value; and it is the rougher, the fewer the second answers are.
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


def new_phrases(known: Sequence[str], answers: Sequence[str], by_chance: float) -> list[Phrase]:
    """Stock phrases of `answers` that no `known` text has, the most frequent first.

    A larger share of the answers than `by_chance` has each of them.
    """
    stock = [
        phrase
        for phrase in _unknown(known, answers)
        if len(phrase.answers) >= LEAST_ANSWERS and len(phrase.answers) > by_chance * len(answers)
    ]
    return sorted(stock, key=lambda phrase: -len(phrase.answers))


def share_by_chance(known: Sequence[str], again: Sequence[str]) -> float:
    """Largest share of the answers `again` that has one and the same phrase which no `known` text
    has. The known texts are what the same model answered before."""
    most = max((len(phrase.answers) for phrase in _unknown(known, again)), default=0)
    return most / len(again)


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


def _unknown(known: Sequence[str], answers: Sequence[str]) -> list[Phrase]:
    old = {phrase for text in known for phrase in _phrases(text)}
    found: dict[str, list[int]] = defaultdict(list)
    for number, answer in enumerate(answers):
        for phrase in dict.fromkeys(_phrases(answer)):
            if phrase not in old:
                found[phrase].append(number)
    return [Phrase(text, tuple(numbers)) for text, numbers in found.items()]


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
