"""A question in a process of its own: whatever becomes of the process, the row says what happened,
and questions come before comparisons."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import select

from monitor.database.opening import open_database
from monitor.database.schema import DiffState, Question, QuestionState
from monitor.jobs.questions import cancel_question, claim_question
from monitor.jobs.reconcile import reconcile
from monitor.settings import Settings, load_settings
from tests.waiting import until
from tests.workers.asking import ask_about
from tests.workers.conftest import changed
from tests.workers.service import FAKE_DIFF, ROOT, Pushes, Sessions
from workers.dispatch.questions import answer_due
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace

FAKE_QUESTION = (sys.executable, "-m", "tests.workers.fake_question")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    broker = {"deadline_seconds": 30.0, "silence_seconds": 30.0, "grace_seconds": 5.0}
    return load_settings(data_dir=tmp_path / "data", broker=broker)


@pytest.fixture
def sessions(settings: Settings) -> Sessions:
    return open_database(settings.database_url)


@pytest.fixture
def pushes(tmp_path: Path, sessions: Sessions, settings: Settings) -> Pushes:
    return Pushes(tmp_path, sessions, settings)


@pytest.fixture(autouse=True)
def _found_by_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")


@pytest.fixture
def place(sessions: Sessions, settings: Settings) -> Workplace:
    return Workplace(
        sessions, settings, FAKE_DIFF, lambda: False, "gpu-0", answer_command=FAKE_QUESTION
    )


def row(sessions: Sessions, question_id: int) -> Question:
    with sessions() as session:
        return session.get_one(Question, question_id)


def test_a_question_comes_before_what_is_queued_and_gets_no_secret(
    place: Workplace, sessions: Sessions, pushes: Pushes
) -> None:
    diff_id = pushes.queue("good")
    question_id = ask_about(sessions, diff_id, "fine")
    run_due(place, diff_id)
    after = row(sessions, question_id)
    assert after.state == QuestionState.ANSWERED and "ablated yes" in str(after.answer)
    assert pushes.row(diff_id).state == DiffState.QUEUED
    run_due(place, diff_id)
    assert pushes.row(diff_id).state == DiffState.DONE
    [start] = (pushes.root / "question.starts").read_text().splitlines()
    assert "PYTHONPATH" in start and "SLACK" not in start


@pytest.mark.parametrize(
    "prompt, silence, reason",
    [
        ("killed", 30.0, "want of memory (SIGKILL)"),
        ("hang", 3.0, "said nothing for 3 seconds"),
        ("foreign", 30.0, "ValidationError"),
    ],
)
def test_a_try_that_crashed_is_repeated_later(
    place: Workplace,
    sessions: Sessions,
    pushes: Pushes,
    prompt: str,
    silence: float,
    reason: str,
) -> None:
    broker = place.settings.broker.model_copy(update={"silence_seconds": silence})
    place = place._replace(settings=place.settings.model_copy(update={"broker": broker}))
    question_id = ask_about(sessions, pushes.queue("good"), prompt)
    assert answer_due(place) and not answer_due(place)
    after = row(sessions, question_id)
    assert after.state == QuestionState.QUEUED and after.not_before > time.time() + 20.0
    assert after.error is not None and reason in after.error and after.answer is None


def test_a_host_that_lacks_an_input_says_which_and_leaves_the_question_for_later(
    place: Workplace, sessions: Sessions, pushes: Pushes, tmp_path: Path
) -> None:
    question_id = ask_about(sessions, pushes.queue("good"), "fine")
    here = changed(place.settings, corpus=tmp_path / "gone.jsonl")
    assert answer_due(place._replace(settings=here))
    after = row(sessions, question_id)
    assert after.state == QuestionState.QUEUED and after.not_before > time.time() + 20.0
    assert after.error is not None and "gone.jsonl" in after.error


def test_a_stop_gives_the_question_back(
    place: Workplace, sessions: Sessions, pushes: Pushes
) -> None:
    question_id, stop = ask_about(sessions, pushes.queue("good"), "slow"), threading.Event()
    working = threading.Thread(target=answer_due, args=(place._replace(must_stop=stop.is_set),))
    working.start()
    until((pushes.root / "question.starts").exists)
    stop.set()
    working.join()
    after = row(sessions, question_id)
    assert (after.state, after.attempt, after.owner) == (QuestionState.QUEUED, 0, None)


def test_who_cancels_ends_the_process(
    place: Workplace, sessions: Sessions, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.2)
    question_id = ask_about(sessions, pushes.queue("good"), "slow")
    working = threading.Thread(target=answer_due, args=(place,))
    working.start()
    started = pushes.root / "question.starts"
    until(lambda: started.exists() and bool(started.read_text()))
    with sessions.begin() as session:
        question = session.get_one(Question, question_id)
        assert cancel_question(session, question, "ann", "enough", time.time()) is None
    working.join(15.0)  # long before its deadline would end it, too
    assert not working.is_alive()
    after = row(sessions, question_id)
    assert (after.state, after.error) == ("cancelled", "cancelled by ann: enough")
    assert not psutil.pid_exists(int(started.read_text().split()[0]))


def test_a_killed_worker_takes_its_process_along_and_another_one_answers(
    place: Workplace, sessions: Sessions, pushes: Pushes
) -> None:
    question_id = ask_about(sessions, pushes.queue("good"), "slow")
    child = os.fork()
    if child == 0:
        sessions.kw["bind"].dispose(close=False)
        answer_due(place)
        os._exit(0)
    started = pushes.root / "question.starts"
    until(lambda: started.exists() and bool(started.read_text()))
    process = int(started.read_text().split()[0])
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    until(lambda: not psutil.pid_exists(process))
    with sessions.begin() as session:
        decided = reconcile(session, {}, time.time())
    assert decided is not None
    assert [(one.id, one.kind) for one in decided.abandoned] == [(question_id, "question")]
    assert "its worker died" in str(row(sessions, question_id).error)
    pushes.go()
    with sessions.begin() as session:
        session.get_one(Question, question_id).not_before = 0.0
    assert answer_due(place)
    assert row(sessions, question_id).state == QuestionState.ANSWERED


def test_who_was_replaced_kills_the_process_and_writes_no_answer(
    place: Workplace, sessions: Sessions, pushes: Pushes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.processes.heartbeat.BEAT_SECONDS", 0.2)
    question_id = ask_about(sessions, pushes.queue("good"), "slow")
    working = threading.Thread(target=answer_due, args=(place,))
    working.start()
    started = pushes.root / "question.starts"
    until(lambda: started.exists() and bool(started.read_text()))
    with sessions.begin() as session:
        taken = claim_question(session, 1e12, "elsewhere:1:1", 60.0)
        assert taken is not None and taken.fence == 2
    working.join()
    after = row(sessions, question_id)
    assert (after.state, after.owner, after.answer) == ("running", "elsewhere:1:1", None)
    assert not psutil.pid_exists(int(started.read_text().split()[0]))
    with sessions() as session:
        assert session.scalars(select(Question)).one().error is None
