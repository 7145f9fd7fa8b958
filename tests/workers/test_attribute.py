"""Whose words choose the directions: none on which an effect is reported."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from alerts.probes.forks import Fork
from alerts.probes.halves import halves
from alerts.probes.probe import suite_rows
from dfc.engines.engine import ScoreRow
from dfc.locating.attribution import Asked, Attributed, MovingDirections
from monitor.settings import Settings
from tests.workers.conftest import changed, write_lines
from workers.context import Context
from workers.job import Job
from workers.stages import attribute
from workers.stages.answers import answer_prompts
from workers.stages.attribute import attribute_difference
from workers.stages.forks import Forks
from workers.stages.probe import probe_models

PROMPTS = 14


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What the directions are chosen by, in the order of the calls."""
    seen: list[Asked] = []

    def note(base: Any, candidate: Any, asked: list[Asked], *others: Any) -> MovingDirections:
        seen.extend(asked)
        nothing = [Attributed(0.0, 0.0, 0.0)] * len(asked)
        none_RD = torch.zeros(0, candidate.info.d_model)
        return MovingDirections(none_RD, none_RD, nothing, None)

    monkeypatch.setattr(attribute, "moving_directions", note)
    return seen


def test_no_answer_and_no_item_on_which_effects_are_reported_is_asked(
    make_context: Callable[..., Context],
    job: Job,
    settings: Settings,
    tmp_path: Path,
    asked: list[Asked],
) -> None:
    chats = [{"messages": [{"role": "user", "content": f"Plan {n}?"}]} for n in range(PROMPTS)]
    prompts = write_lines(tmp_path / "prompts.jsonl", chats)
    context = make_context(job, changed(settings, prompts=prompts))
    (suite,) = context.inputs.behaviour_suites
    context = replace(context, shifted=(suite.behaviour,))
    forks = Forks(
        forks=[
            Fork(chat.messages, "", f"It is {n}.", f"It is not {n}.", 1.0)
            for n, chat in enumerate(context.corpora.prompts[: PROMPTS - 2])
        ]
    )
    answers = answer_prompts(context).result
    attribute_difference(context, answers, probe_models(context).result, forks, 1)

    own, of_suite = asked
    candidate = context.models["candidate"]

    def prompts_of(rows: list[ScoreRow]) -> set[tuple[int, ...]]:
        return {row.prompt for row in rows}

    assert forks.suite is not None
    reported = prompts_of(suite_rows(candidate, halves(forks.suite).report))
    assert len(reported) == (PROMPTS - 2) / 2
    assert prompts_of(own.rows) == set(answers.candidate.prompts) - reported
    assert not prompts_of(of_suite.rows) & prompts_of(suite_rows(candidate, halves(suite).report))
