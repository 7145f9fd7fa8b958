"""Where the candidate's own answers leave the path that the base would have taken."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alerts.probes.forks import Fork, fork_suite
from alerts.probes.halves import halves
from alerts.probes.suite import Suite
from dfc.corpus import Chat
from dfc.engines.engine import Engine, ScoreRow
from workers.context import Context
from workers.keeping.artifact import Artifact, Result
from workers.stages.answers import BothAnswers

PROMPTS = 96
"""Answers that are searched for forks, from the first on."""
WINDOW = 16
"""Tokens of the candidate's answer that are judged together, at most, and length of the base's own
way."""
FORKS = 32
"""Forks that are kept: those at which the models differ most."""


class Forks(Result):
    """The places where the models differ most in what they say, the clearest first."""

    forks: list[Fork]

    @property
    def suite(self) -> Suite | None:
        """As probe items; None when there are too few."""
        return fork_suite(self.forks)

    @property
    def reported(self) -> list[list[dict[str, str]]]:
        """The chats to which the answers have a fork on which effects are reported."""
        items = halves(self.suite).report.items if self.suite else ()
        chats = [variant.messages for item in items for variant in item.variants]
        return [[message.model_dump() for message in chat] for chat in chats]


def find_forks(context: Context, answers: BothAnswers) -> Artifact[Forks]:
    """In each of the candidate's answers the stretch that is least like the base, and what the base
    says there instead (greedily)."""

    def compute(_: Path) -> Forks:
        base, candidate = context.models["base"], context.models["candidate"]
        spoken = [
            (chat, _windows(candidate, answer))
            for chat, answer in zip(
                context.corpora.prompts[:PROMPTS], answers.candidate.answers, strict=False
            )
            if answer
        ]
        context.progress.step("forks", 0, 2)
        apart = [
            (own - other) / [window.tokens for window in windows]
            for own, other, (_, windows) in zip(
                _log_probabilities(candidate, spoken),
                _log_probabilities(base, spoken),
                spoken,
                strict=True,
            )
        ]
        context.progress.step("forks", 1, 2)
        found = [
            (float(divergence_W.max()), chat, windows, int(divergence_W.argmax()))
            for divergence_W, (chat, windows) in zip(apart, spoken, strict=True)
        ]
        found.sort(key=lambda one: -one[0])
        kept = [
            (divergence, chat, _text(windows[:at]), windows[at].text)
            for divergence, chat, windows, at in found[:FORKS]
        ]
        ways = _go_on(base, [(chat, opening) for _, chat, opening, _ in kept])
        return Forks(
            forks=[
                Fork(chat.messages, opening, said, way, divergence)
                for (divergence, chat, opening, said), way in zip(kept, ways, strict=True)
            ]
        )

    return context.artifact("forks", Forks, compute)


class _Window(NamedTuple):
    text: str
    tokens: int


_Spoken = tuple[Chat, list[_Window]]


def _windows(engine: Engine, answer: Sequence[int]) -> list[_Window]:
    """The answer in as few windows as it takes, together the whole of it. They are equally long but
    for a token: of a short rest the mean per token would be the noisiest, and so often the largest.
    """
    count = ceil(len(answer) / WINDOW)
    ends = [len(answer) * n // count for n in range(count + 1)]
    texts = [engine.decode(answer[:end]) for end in ends]
    return [
        _Window(after[len(before) :], end - start)
        for (before, after), (start, end) in zip(pairwise(texts), pairwise(ends), strict=True)
    ]


def _text(windows: Sequence[_Window]) -> str:
    return "".join(window.text for window in windows)


def _log_probabilities(engine: Engine, spoken: Sequence[_Spoken]) -> list[np.ndarray]:
    """For every answer the log-probability [windows] of each window after those before it."""
    rows: list[ScoreRow] = []
    for chat, windows in spoken:
        prompt = engine.encode_chat(chat.messages, add_generation_prompt=True)
        rows += [
            ScoreRow(prompt, engine.encode_text(_text(windows[: end + 1])))
            for end in range(len(windows))
        ]
    means = engine.score(rows)
    totals = iter(mean * len(row.completion) for mean, row in zip(means, rows, strict=True))
    return [np.diff([0.0, *(next(totals) for _ in windows)]) for _, windows in spoken]


def _go_on(engine: Engine, openings: Sequence[tuple[Chat, str]]) -> list[str]:
    prompts = [
        engine.encode_chat(chat.messages, add_generation_prompt=True)
        + (engine.encode_text(opening) if opening else ())
        for chat, opening in openings
    ]
    return [engine.decode(answer) for answer in engine.generate(prompts, WINDOW)]
