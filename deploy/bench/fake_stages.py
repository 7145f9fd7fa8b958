"""A comparison that finds nothing, but keeps its results as the real one does.

Answers are an artifact; training is a chain of hashes whose state is saved every few steps, so that
one that went on elsewhere ends exactly where an undisturbed one ends; then a verdict. As a process
of its own: `python -m deploy.bench.fake_stages SECONDS`, which one step of training takes,
with an assignment on standard input.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from alerts.evidence import Evidence
from alerts.verdict import Outcome as Word
from alerts.verdict import RecipeSummary, Verdict
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from monitor.settings import Settings
from workers.job import Job
from workers.keeping.artifact import Result, computed_once
from workers.keeping.store import LocalStore, Store
from workers.processes.diff_process import Assignment, serve
from workers.progress import DiffProgress
from workers.verdicts.outcome import Outcome

STEPS, SAVE_EVERY = 12, 3
CHANGED = "The source changed during the check"


class Trained(Result):
    """What training ended with."""

    state: str


class Moment(NamedTuple):
    """A point at which the process may be killed or told to stop."""

    stage: str
    step: int | None = None


def compare_in_moments(job: Job, store: Store) -> Iterator[Moment | Outcome]:
    """Compare, stopping at every moment; the outcome comes last. Raises StoreError."""
    key = _key(job)
    yield Moment("answers")
    computed_once(store, f"{key}/answers/1", Trained, lambda _: Trained(state=key), time.monotonic)
    yield Moment("train", 0)
    training = f"{key}/train/1"
    if store.get(training) is None:
        saved = store.work(training) / "state.json"
        step, state = _saved(saved, key)
        while step < STEPS:
            step, state = step + 1, _next(state, step)
            if step % SAVE_EVERY == 0:
                _save(saved, step, state)
            yield Moment("train", step)
        final = Trained(state=state)
        computed_once(store, training, Trained, lambda _: final, time.monotonic)
        store.end_work(training)
    yield Moment("decide")
    yield _decided(job)


def undisturbed(job: Job) -> str:
    """What training ends with when nothing interrupts it."""
    state = _key(job)
    for step in range(STEPS):
        state = _next(state, step)
    return state


def trained(job: Job, store: Store) -> str | None:
    """What is in the store of it; None where there is nothing."""
    if store.get(f"{_key(job)}/train/1") is None:
        return None
    return computed_once(
        store, f"{_key(job)}/train/1", Trained, lambda _: Trained(state=""), time.monotonic
    ).result.state


def _key(job: Job) -> str:
    return f"diffs/{job.pair_digest}"


def _next(state: str, step: int) -> str:
    return hashlib.sha256(f"{state} {step}".encode()).hexdigest()


def _saved(path: Path, first: str) -> tuple[int, str]:
    if not path.exists():
        return 0, first
    step, state = json.loads(path.read_text())
    return step, state


def _save(path: Path, step: int, state: str) -> None:
    scratch = path.with_name(f".{os.getpid()}")
    scratch.write_text(json.dumps([step, state]))
    scratch.replace(path)


def _decided(job: Job) -> Outcome:
    now = identify(inspect_checkpoint(job.candidate.path)).content
    word: Word = "passed" if now == job.candidate.content_digest else "undecided"
    verdict = Verdict(
        schema="latentwatch.verdict/1",
        line=job.line,
        base=job.base.for_verdict(),
        candidate=job.candidate.for_verdict(),
        recipe=RecipeSummary(digest="none", layer=None, tokens=None, seeds=[]),
        verdict=word,
        severity=None,
        reasons=[] if word == "passed" else [CHANGED],
        behaviours=[],
        features=[],
        timings={},
        versions={},
    )
    return Outcome(verdict, Evidence())


def _compare(assignment: Assignment, settings: Settings, progress: DiffProgress) -> Outcome:
    pause = float(sys.argv[1])
    stage = None
    for moment in compare_in_moments(assignment.job, LocalStore(settings.store_dir)):
        if isinstance(moment, Outcome):
            return moment
        if moment.stage != stage:
            stage = moment.stage
            progress.begin(stage)
        if moment.step is not None:
            time.sleep(pause)
            progress.step("steps", moment.step, STEPS)
    raise AssertionError("no outcome")


if __name__ == "__main__":
    serve(_compare)
