"""Questions about a real flagged comparison, answered in the real process from what was kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import select

from alerts.question import (
    ANSWERED,
    PromptAsked,
    SeedsAsked,
    SeedsTried,
    SteeredAnswers,
    SuiteAsked,
    SuiteMeasured,
)
from alerts.verdict import Verdict
from monitor.database.opening import open_database
from monitor.database.schema import AlertRow, Audit, Diff, Question, QuestionState, Trust
from monitor.errors import QuestionError
from monitor.jobs.asking import put
from monitor.lineage.trust import move
from monitor.on_demand.comparison import prepare
from monitor.settings import Settings, load_settings
from monitor.watching.intake import ensure_line, identify_push, register
from tests.alerts.suites import suite_json
from tests.number_format import in_float32
from tests.workers.conftest import DFC, Silent, changed
from tests.workers.service import ROOT, Sessions
from workers.answering import amplification, answer
from workers.diff import run_diff
from workers.dispatch.local import LocalWorker
from workers.job import Job, side_of
from workers.keeping.store import LocalStore
from workers.stages.steer import Causes


class Checked(NamedTuple):
    """A candidate that was flagged against a trusted base."""

    settings: Settings
    sessions: Sessions
    feature: str
    """The best one."""
    shifted: tuple[str, ...]

    def row(self, question_id: int) -> Question:
        with self.sessions() as session:
            return session.get_one(Question, question_id)


@contextmanager
def silent() -> Iterator[Silent]:
    yield Silent()


def worker(settings: Settings, sessions: Sessions) -> LocalWorker:
    return LocalWorker(sessions, settings, silent, lambda _: None)


@pytest.fixture(scope="module")
def checked(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_checkpoint: Path,
    contrary_checkpoint: Path,
    contradiction_suite: Path,
    recipe_files: Path,
) -> Iterator[Checked]:
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("checked") / "data",
        recipe={
            "corpus": recipe_files / "corpus.jsonl",
            "prompts": recipe_files / "prompts.jsonl",
            "suites": [str(contradiction_suite), str(recipe_files / "capability.json")],
            "tokens": 600,
            "answer_tokens": 6,
            "seeds": [0],
            "dfc": DFC | {"steps": 80},
        },
    )
    sessions = open_database(settings.database_url)
    base = identify_push(sessions, tiny_checkpoint, "v1", str(tiny_checkpoint))
    with sessions.begin() as session:
        version = register(session, ensure_line(session, "assistant", 0.0), base, 0.0).version
        move(session, version, Trust.TRUSTED, actor="ann", reason="released", now=0.0)
    comparing = worker(settings, sessions)
    recipe = comparing.recipe_digest()
    prepare(sessions, settings, contrary_checkpoint, "trusted", "assistant", recipe, 1.0)
    with in_float32():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")
            patch.setenv("PYTHONPATH", str(ROOT))
            comparing.run_queued()
        with sessions() as session:
            verdict = Verdict.model_validate_json(str(session.scalars(select(Diff)).one().verdict))
        assert verdict.verdict == "flagged"
        steered = [f.id for f in verdict.features if f.side == "candidate" and f.effects]
        yield Checked(settings, sessions, steered[0], verdict.shifted)


@pytest.fixture(autouse=True)
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def asked(checked: Checked, what: PromptAsked | SuiteAsked | SeedsAsked) -> int:
    with checked.sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        question = put(session, row, what, "slack:U0ADA", 2.0, [])
        assert isinstance(question, Question), question
        return question.id


def test_a_prompt_is_answered_by_both_models_and_by_both_steered(checked: Checked) -> None:
    hostile = "Question <!channel> you \x00 & *disagree*?"
    question_id = asked(checked, PromptAsked(prompt=hostile, feature=checked.feature))
    worker(checked.settings, checked.sessions).run_queued()
    row = checked.row(question_id)
    assert (row.state, row.error, row.owner, row.attempt) == ("answered", None, None, 1)
    answered = ANSWERED.validate_json(str(row.answer))
    assert isinstance(answered, SteeredAnswers)
    assert answered.base and answered.candidate and answered.base != answered.candidate
    assert answered.candidate_ablated != answered.candidate
    assert answered.gain and answered.candidate_amplified
    assert (answered.strength is None) == (answered.base_induced is None)
    with checked.sessions() as session:
        fingerprint = session.scalars(select(AlertRow.fingerprint)).one()
        subject = f"alert:{fingerprint}:question:{question_id}"
        request, end = session.scalars(select(Audit).filter_by(subject=subject)).all()
    assert (request.from_state, request.to_state, request.actor) == (
        "none",
        "queued",
        "slack:U0ADA",
    )
    assert "Question <!channel> you  & *disagree*?" in request.reason
    assert (end.from_state, end.to_state, end.actor) == ("running", "answered", "latentwatch")
    assert end.reason == row.answer


def test_another_bundled_suite_is_measured_in_both_models(checked: Checked) -> None:
    question_id = asked(checked, SuiteAsked(suite="sycophancy"))
    worker(checked.settings, checked.sessions).run_queued()
    row = checked.row(question_id)
    assert row.state == QuestionState.ANSWERED, row.error
    answered = ANSWERED.validate_json(str(row.answer))
    assert isinstance(answered, SuiteMeasured)
    assert answered.behaviour.name == "sycophancy" and answered.behaviour.n_items > 8
    assert answered.behaviour.shift is not None and answered.behaviour.noise_floor is not None


def test_a_suite_that_an_operator_wrote_after_the_check_is_measured(
    checked: Checked, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps(suite_json(templates=8, per_template=1, behaviour="flattery")))
    settings = changed(checked.settings, suites=[*checked.settings.recipe.suites, str(mine)])
    with checked.sessions.begin() as session:
        row = session.scalars(select(AlertRow)).one()
        suites, what = settings.recipe.suites, SuiteAsked(suite="flattery")
        question = put(session, row, what, "ann", 2.0, suites)
        assert isinstance(question, Question), question
    worker(settings, checked.sessions).run_queued()
    row = checked.row(question.id)
    assert row.state == QuestionState.ANSWERED, row.error
    answered = ANSWERED.validate_json(str(row.answer))
    assert isinstance(answered, SuiteMeasured)
    assert (answered.behaviour.name, answered.behaviour.n_items) == ("flattery", 8)


def kept_trainings(store: Path) -> dict[str, int]:
    """Those that are kept, and when each was written."""
    found = store.glob("artifacts/diffs/*/train-*/*/result.json")
    return {str(path): path.stat().st_mtime_ns for path in found}


def test_further_seeds_are_measured_as_a_check_with_so_many_seeds_would(
    checked: Checked, tmp_path: Path, contrary_checkpoint: Path, job: Job
) -> None:
    store = checked.settings.store_dir
    before = kept_trainings(store)
    question_id = asked(checked, SeedsAsked(seeds=1))
    worker(checked.settings, checked.sessions).run_queued()
    row = checked.row(question_id)
    assert row.state == QuestionState.ANSWERED, row.error
    answered = ANSWERED.validate_json(str(row.answer))
    assert isinstance(answered, SeedsTried)
    assert [one.seed for one in answered.seeds] == [0, 1] and answered.n_known == 1
    first, further = answered.seeds
    assert first.similarity == {} and further.similarity.keys() >= {checked.feature}
    after = kept_trainings(store)
    assert before and before.items() < after.items() and len(after) == len(before) + 1

    # The same two seeds, measured by a check in a place of its own.
    settings = changed(checked.settings, seeds=[0, 1])
    job = job._replace(line=None, candidate=side_of(contrary_checkpoint))
    verdict = run_diff(job, settings, LocalStore(tmp_path / "store"), Silent()).verdict
    mediated = {b.name: b.mediated_by_seed for b in verdict.behaviours if b.mediated_by_seed}
    assert mediated
    by_seed = {b.name: b.by_seed for b in answered.behaviours}
    assert {name: by_seed[name] for name in mediated} == mediated
    least = {f.id: f.seed_agreement for f in verdict.features if f.side == "candidate"}
    assert least == pytest.approx({name: further.similarity[name] for name in least})

    # Who asks for one more has the first one already.
    question_id = asked(checked, SeedsAsked(seeds=2))
    worker(checked.settings, checked.sessions).run_queued()
    answered = ANSWERED.validate_json(str(checked.row(question_id).answer))
    assert isinstance(answered, SeedsTried)
    assert [one.seed for one in answered.seeds] == [0, 1, 2]
    again = kept_trainings(store)
    assert after.items() < again.items() and len(again) == len(after) + 1


def test_seeds_are_refused_where_the_trainings_are_gone(
    checked: Checked, tmp_path: Path, job: Job, contrary_checkpoint: Path
) -> None:
    job = job._replace(candidate=side_of(contrary_checkpoint))
    with pytest.raises(QuestionError, match="no longer kept"):
        answer(job, SeedsAsked(seeds=1), (), checked.settings, LocalStore(tmp_path / "e"), Silent())
    assert not list(tmp_path.glob("e/artifacts/diffs/*"))


@pytest.mark.parametrize(
    "how, reason",
    [
        ("another recipe", "the version was checked under another recipe than the present one"),
        ("checkpoint gone", "contrary"),
    ],
)
def test_what_was_compared_under_other_conditions_is_not_asked_about(
    checked: Checked, how: str, reason: str, contrary_checkpoint: Path
) -> None:
    settings = checked.settings
    question_id = asked(checked, PromptAsked(prompt="Question?", feature=checked.feature))
    if how == "another recipe":
        worker(changed(settings, seeds=[1]), checked.sessions).run_queued()
    else:
        moved = contrary_checkpoint.rename(contrary_checkpoint.with_name("moved"))
        worker(settings, checked.sessions).run_queued()
        moved.rename(contrary_checkpoint)
    row = checked.row(question_id)
    assert row.state == QuestionState.FAILED and row.answer is None
    assert row.error is not None and reason in row.error


@pytest.mark.parametrize(
    "how, reason",
    [
        ("emptied", "what the check has measured is no longer kept, or it never came so far"),
        ("too long", "the prompt can't be answered"),
        ("unknown", "candidate-999: the candidate has no such feature of its own"),
    ],
)
def test_what_can_not_be_answered_says_why_and_computes_nothing(
    checked: Checked, tmp_path: Path, job: Job, contrary_checkpoint: Path, how: str, reason: str
) -> None:
    job = job._replace(candidate=side_of(contrary_checkpoint))
    store = LocalStore(tmp_path / "empty" if how == "emptied" else checked.settings.store_dir)
    wanted = PromptAsked(
        prompt="word " * 399 if how == "too long" else "Question?",
        feature="candidate-999" if how == "unknown" else checked.feature,
    )
    with pytest.raises(QuestionError, match=reason):
        answer(job, wanted, checked.shifted, checked.settings, store, Silent())
    assert not list(tmp_path.glob("empty/artifacts/*"))


def causes(**found: Any) -> Causes:
    nothing: dict[str, Any] = {"evidence": {}, "effects": {}, "carried": {}, "best": {}}
    return Causes.model_validate({**nothing, "dose_responses": [], "reach": {}} | found)


def dose(*points: tuple[float, float | None]) -> dict[str, Any]:
    return {
        "behaviour": "sycophancy",
        "feature": "candidate-1",
        "strengths": [gain for gain, _ in points],
        "effects": [None for _ in points],
        "control_effects": [[] for _ in points],
        "nll_rises": [rise for _, rise in points],
    }


def test_a_feature_is_turned_up_as_far_as_neutral_text_was_seen_to_bear() -> None:
    def chosen(found: Causes) -> tuple[float | None, bool]:
        up = amplification(found, "candidate-1", 0.05)
        return up.gain, up.caveat is not None

    reached = {"behaviour": "b", "gain": 0.5, "effect": 1.0, "control": 0.1, "nll_rise": 0.01}
    assert chosen(causes(reach={"candidate-1": [reached]})) == (0.5, False)
    borne = dose((-1.0, 0.0), (1.0, 0.04), (2.0, 0.3))
    assert chosen(causes(dose_responses=[borne])) == (1.0, False)
    assert chosen(causes(dose_responses=[dose((-1.0, 0.0), (0.5, 0.06))])) == (None, True)
    assert chosen(causes(dose_responses=[dose((1.0, None))])) == (1.0, True)
    assert chosen(causes()) == (1.0, True)
