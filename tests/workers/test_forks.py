"""Where a candidate's answers leave the base's path, in real (tiny) models."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import side_of
from workers.context import Context
from workers.job import Job
from workers.stages import forks
from workers.stages.answers import answer_prompts
from workers.stages.forks import find_forks


def test_forks_lie_in_the_candidates_own_answers(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forks, "WINDOW", 2)
    answers = answer_prompts(context).result
    found = find_forks(context, answers).result.forks
    assert len(found) == len(answers.candidate.answers) == 6
    by_prompt = {fork.messages[-1]["content"]: fork for fork in found}
    candidate = context.models["candidate"]
    for chat, said in zip(context.corpora.prompts, answers.candidate.answers, strict=True):
        fork = by_prompt[chat.messages[-1]["content"]]
        assert fork.candidate and (fork.opening + fork.candidate) in candidate.decode(said)
    assert [f.divergence for f in found] == sorted((f.divergence for f in found), reverse=True)
    assert found[0].divergence > 0


def test_a_divergence_is_that_of_the_words_after_their_opening(context: Context) -> None:
    fork = find_forks(context, answer_prompts(context).result).result.forks[0]

    def log_probability(name: str) -> float:
        engine = context.models[name]
        prompt = engine.encode_chat(fork.messages, add_generation_prompt=True)
        opened = prompt + (engine.encode_text(fork.opening) if fork.opening else ())
        said = engine.encode_text(fork.candidate)
        return engine.score([forks.ScoreRow(opened, said)])[0] * len(said)

    expected = (log_probability("candidate") - log_probability("base")) / forks.WINDOW
    assert fork.divergence == pytest.approx(expected, rel=0.05, abs=1e-3)


def test_equal_models_do_not_differ_anywhere(
    make_context: Callable[[Job], Context], tiny_checkpoint: Path
) -> None:
    side = side_of(tiny_checkpoint)
    same = make_context(Job(None, side, side))
    found = find_forks(same, answer_prompts(same).result).result.forks
    assert {fork.divergence for fork in found} == {0.0}
