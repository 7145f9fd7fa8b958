"""What the candidate says in answer after answer, more often than chance alone would make it."""

from collections.abc import Sequence
from pathlib import Path

from alerts.probes.stock_phrases import (
    Phrase,
    new_phrases,
    sentences,
    share_by_chance,
    share_of_answers,
)
from dfc.canonical import digest_of
from dfc.engines.engine import Engine
from workers.context import Context
from workers.keeping.artifact import Artifact, Result
from workers.keeping.stage_keys import stage_code
from workers.stages.answers import TEMPERATURE, BothAnswers, Tokens

PHRASES = 8
"""New stock phrases that are kept, the most frequent first."""
AGAIN = 48
"""Prompts that the base answers a second time, as it did the first time but for the draws."""
SEED = 1


class StockPhrases(Result):
    """Words that the candidate has said in answer after answer and the base never."""

    phrases: list[Phrase]
    share: float
    """Part of the candidate's answers that have a new stock phrase."""
    by_chance: float
    """Part of the base's second answers that have the phrase which they have most often among those
    that it never said before: a stock phrase is more frequent."""


class SecondAnswers(Result):
    """Answers of the base that nothing else is made of."""

    answers: list[Tokens]


def find_stock_phrases(context: Context, answers: BothAnswers) -> Artifact[StockPhrases]:
    """Search both models' answers; the base answers some of the prompts once more."""

    def compute(_: Path) -> StockPhrases:
        base, candidate = context.models["base"], context.models["candidate"]
        # What stands in a prompt either model may repeat.
        known = _texts(base, [*answers.base.answers, *answers.base.prompts])
        said = _texts(candidate, answers.candidate.answers)
        chance = share_by_chance(known, _texts(base, _second_answers(context, answers)))
        found = new_phrases(known, said, chance)
        return StockPhrases(
            phrases=sentences(found)[:PHRASES],
            share=share_of_answers(found, len(said)),
            by_chance=chance,
        )

    return context.artifact("stock_phrases", StockPhrases, compute)


def _second_answers(context: Context, answers: BothAnswers) -> list[Tokens]:
    """Shared between diffs with the same base."""
    prompts = answers.base.prompts[:AGAIN]
    recipe = context.inputs.recipe
    length = recipe.answer_tokens
    code = stage_code("stock_phrases", engine=recipe.engine)
    made_of = [prompts, length, TEMPERATURE, SEED, code]

    def compute(_: Path) -> SecondAnswers:
        base, steps = context.models["base"], context.steps("the base's second answers")
        return SecondAnswers(
            answers=base.generate(
                prompts, length, temperature=TEMPERATURE, seed=SEED, progress=steps
            )
        )

    key = f"second_answers/{context.job.base.content_digest}/{digest_of(made_of)}"
    return context.shared(key, SecondAnswers, compute).result.answers


def _texts(engine: Engine, answers: Sequence[Tokens]) -> list[str]:
    return [engine.decode(answer) for answer in answers]
