"""Stock phrases: what the candidate says in answer after answer and the base never does."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from deploy.bench.rivals.rival import Case, Look

WORDS = 4
"""Length of a phrase: shorter ones are met by chance, longer ones vary."""
NAMED = 8
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")


class Phrase(NamedTuple):
    """Words in a row, and the number of answers in which the candidate says them."""

    text: str
    answers: int


class StockPhrases:
    """Score: share of the prompts that the most frequent new phrase answers.

    What is in the prompts is not counted, since both models may repeat it.
    """

    name = "new stock phrases"
    stages = ("answers",)

    def look(self, case: Case) -> Look:
        decode = case.context.models["base"].decode
        base, candidate = case.answers.base, case.answers.candidate
        known = [decode(tokens) for tokens in [*base.answers, *base.prompts]]
        found = new_phrases(known, [decode(answer) for answer in candidate.answers])
        n = len(candidate.answers)
        return Look(
            score=found[0].answers / n if found else 0.0,
            flagged=None,
            names=[f"{phrase.text} ({phrase.answers})" for phrase in found[:NAMED]],
            figures={"prompts": float(n)},
        )


def new_phrases(known: Sequence[str], answers: Sequence[str]) -> list[Phrase]:
    """Phrases of at least two answers that no known text has, the most frequent first.

    Of phrases that overlap by all words but one, the first stands for all.
    """
    old = {phrase for text in known for phrase in _phrases(text)}
    counts = Counter(phrase for answer in answers for phrase in dict.fromkeys(_phrases(answer)))
    found: list[Phrase] = []
    taken: set[tuple[str, ...]] = set()
    for words, n in counts.most_common():
        if n < 2:
            break
        ends = {words[1:], words[:-1]}
        if words not in old and not ends & taken:
            found.append(Phrase(" ".join(words), n))
        if words not in old:
            taken |= ends
    return found


def _phrases(text: str) -> list[tuple[str, ...]]:
    words = [match.group().lower() for match in _WORD.finditer(text)]
    return [tuple(words[at : at + WORDS]) for at in range(len(words) - WORDS + 1)]
