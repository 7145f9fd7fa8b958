"""Watching whole lines: real directories and a real database; only the comparison is stood in."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from monitor import diff_claims, diff_queue
from monitor.admission import admit
from monitor.line_settings import LineSettings
from monitor.lineage import verify_audit
from monitor.rounds import RETRY_SECONDS, LineWatch, watch_forever, watch_once
from monitor.schema import Audit, Diff, Line, Observation, Outgoing, Trust, Version
from monitor.status import status_data, status_of
from tests.monitor.checkpoints import TOKENIZER, edit_json, write_checkpoint
from tests.monitor.conftest import Sessions
from tests.monitor.standin import RECIPE, BrokenWorker, StandInWorker
from tests.monitor.watched import WatchedLine


class Watched(WatchedLine):
    """A line called chat in a directory."""

    def __init__(self, directory: Path, sessions: Sessions) -> None:
        directory.mkdir()
        self.directory = directory
        line = {"directory": directory, "trusted": "v1"}
        super().__init__(directory.parent / "data", sessions, line)

    def push(self, name: str, seed: int, shards: int = 1) -> Path:
        return write_checkpoint(self.directory / name, seed, shards)


@pytest.fixture
def watched(tmp_path: Path, sessions: Sessions) -> Iterator[Watched]:
    line = Watched(tmp_path / "chat", sessions)
    yield line
    with sessions() as session:
        assert verify_audit(session) == []


def test_every_new_version_is_compared_with_the_trusted_one(watched: Watched) -> None:
    for seed, name in enumerate(["v1", "good-2", "bad-3"]):
        watched.push(name, seed)
    assert watched.watch() == 1
    assert watched.states() == {"v1": "trusted", "good-2": "passed", "bad-3": "flagged"}
    with watched.sessions() as session:
        base = session.scalars(select(Version).filter_by(name="v1")).one()
        assert set(session.scalars(select(Diff.base_digest))) == {base.content_digest}


def test_a_second_round_finds_nothing_new(watched: Watched) -> None:
    for seed, name in enumerate(["v1", "good-2", "bad-3"]):
        watched.push(name, seed)
    watched.watch()
    counts = [watched.count(table) for table in (Version, Diff, Observation, Audit)]
    assert watched.watch() == 0
    assert [watched.count(table) for table in (Version, Diff, Observation, Audit)] == counts


def test_an_undecided_version_is_never_quiet(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("odd-2", 1)
    assert watched.watch() == 3
    assert watched.states()["odd-2"] == "undecided"
    assert watched.watch() == 3
    assert watched.worker.ran == ["odd-2"]  # a verdict of undecided is no reason to try again


def test_the_next_version_is_compared_with_what_was_trusted_meanwhile(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.watch()
    watched.decide("good-2", Trust.TRUSTED)
    watched.push("good-3", 2)
    assert watched.watch() == 0
    with watched.sessions() as session:
        second = session.scalars(select(Version).filter_by(name="good-2")).one()
        third = session.scalars(select(Version).filter_by(name="good-3")).one()
        diff = session.scalars(select(Diff).filter_by(candidate_digest=third.content_digest)).one()
        assert diff.base_digest == second.content_digest


def test_an_anchor_is_compared_too(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.watch()
    watched.decide("good-2", Trust.TRUSTED)
    watched.configure(anchor="v1")
    watched.push("good-3", 2)
    assert watched.watch() == 0
    assert watched.worker.ran == ["good-2", "good-3", "good-3"]
    watched.decide("v1", Trust.QUARANTINED)
    assert watched.watch() == 3
    assert "anchor v1 is quarantined" in watched.said[-1]


def test_the_same_content_under_another_name_is_an_alias(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.watch()
    shutil.copytree(watched.directory / "good-2", watched.directory / "release")
    (watched.directory / "latest").symlink_to("good-2")
    assert watched.watch() == 0
    assert watched.count(Version) == 2 and watched.count(Diff) == 1
    assert watched.rows()["good-2"].aliases == ["latest", "release"]


def test_equal_weights_with_another_template_are_only_probed(watched: Watched) -> None:
    watched.push("v1", 0)
    template = watched.push("good-template", 0, shards=2)
    (template / "chat_template.jinja").write_text("Agree. {{ messages }}")
    edit_json(watched.push("good-words", 0) / "tokenizer.json", normalizer={"type": "NFC"})
    watched.push("good-weights", 1)
    assert watched.watch() == 0
    with watched.sessions() as session:
        names = dict(session.execute(select(Version.content_digest, Version.name)).all())
        probe_only = {
            names[diff.candidate_digest]: diff.probe_only for diff in session.scalars(select(Diff))
        }
    assert probe_only == {"good-template": True, "good-words": True, "good-weights": False}


def test_a_refused_push_is_recorded_and_the_others_go_on(watched: Watched) -> None:
    watched.push("v1", 0)
    (watched.push("pickled", 1) / "pytorch_model.bin").touch()
    os.truncate(watched.push("cut", 2) / "model.safetensors", 100)
    edit_json(watched.push("code", 3) / "config.json", auto_map={"AutoModel": "x.Y"})
    (watched.directory / "empty").mkdir()
    watched.push("good-2", 4)
    assert watched.watch() == 3
    rows = watched.rows()
    for name, reason in [
        ("pickled", "only safetensors"),
        ("cut", "truncated"),
        ("code", "auto_map"),
        ("empty", "is empty"),
    ]:
        row = rows[name]
        assert (row.state, row.digest) == ("undecided", None)
        assert reason in str(row.reason)
    assert rows["good-2"].state == "passed"
    assert watched.count(Version) == 2
    seen = watched.count(Observation)
    assert watched.watch() == 3
    assert watched.count(Observation) == seen


def test_a_repaired_push_is_checked(watched: Watched) -> None:
    watched.push("v1", 0)
    os.truncate(watched.push("good-2", 1) / "model.safetensors", 100)
    assert watched.watch() == 3
    watched.push("good-2", 1)
    assert watched.watch() == 0
    assert watched.states() == {"v1": "trusted", "good-2": "passed"}


def test_another_tokenizer_and_shape_with_other_weights_are_compared(watched: Watched) -> None:
    watched.push("v1", 0)
    push = watched.push("good-2", 1)
    edit_json(push / "tokenizer.json", model={**TOKENIZER["model"], "vocab": {"x": 0}})
    edit_json(push / "config.json", hidden_size=16)
    assert watched.watch() == 0
    assert watched.states() == {"v1": "trusted", "good-2": "passed"}


def test_without_a_trusted_version_nothing_is_queued(watched: Watched) -> None:
    watched.configure(trusted=None)
    watched.push("v1", 0)
    assert watched.watch() == 3
    assert watched.count(Diff) == 0 and watched.states() == {"v1": "new"}
    assert "no version is trusted" in watched.said[-1]
    watched.decide("v1", Trust.TRUSTED)
    watched.push("good-2", 1)
    assert watched.watch() == 0


def test_a_trusted_version_that_was_refused_is_named(watched: Watched) -> None:
    (watched.push("v1", 0) / "pytorch_model.bin").touch()
    watched.push("good-2", 1)
    assert watched.watch() == 3
    assert watched.count(Diff) == 0
    assert "pytorch_model.bin" in watched.said[-1] and "'v1'" in watched.said[-1]


def test_overwriting_the_version_that_the_settings_trust_gains_nothing(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.watch()
    watched.decide("v1", Trust.QUARANTINED)
    watched.push("v1", 1)
    assert watched.watch() == 3
    with watched.sessions() as session:
        assert session.scalars(select(Version.state)).all() == ["quarantined", "new"]


def test_a_version_overwritten_before_it_was_checked_is_superseded(watched: Watched) -> None:
    watched.configure(trusted=None)
    watched.push("v1", 0)
    watched.push("nightly", 1)
    watched.watch()
    watched.push("nightly", 2)
    watched.watch()
    watched.decide("v1", Trust.TRUSTED)
    assert watched.watch() == 0
    with watched.sessions() as session:
        states = session.scalars(select(Version.state).filter_by(name="nightly")).all()
    assert states == ["superseded", "passed"]
    watched.push("good-again", 1)
    watched.push("bad-news", 7)
    assert watched.watch() == 1
    assert "superseded" not in watched.states().values()


def test_a_failed_comparison_is_tried_again_in_the_next_round(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    assert watched.watch() == 3
    assert "no space left" in str(watched.rows()["broken-2"].reason)
    watched.worker.repaired = True
    watched.clock.now += 10.0
    assert watched.watch() == 0
    assert watched.worker.ran == ["broken-2", "broken-2"]


@pytest.mark.parametrize(
    ("name", "codes", "state"),
    [("odd-cut-2", [3, 3, 3], "undecided"), ("bad-cut-2", [1, 0, 0], "flagged")],
)
def test_a_verdict_after_a_failed_stage_is_tried_again(
    watched: Watched, name: str, codes: list[int], state: str
) -> None:
    watched.push("v1", 0)
    watched.push(name, 1)
    for code, repaired in zip(codes, [False, True, True], strict=True):
        watched.worker.repaired = repaired
        assert watched.watch() == code
        assert watched.states()[name] == state
        watched.clock.now += 10.0
    assert watched.worker.ran == [name, name]  # the repaired one needs no third try


def test_what_was_queued_under_another_recipe_is_queued_anew(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    watched.watch()
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    watched.worker.clock = lambda: watched.clock.now + 1.0
    watched.worker.recipe = "changed"
    assert watched.watch() == 0
    with watched.sessions() as session:
        found = session.execute(select(Diff.recipe_digest, Diff.state).order_by(Diff.id))
        assert [tuple(row) for row in found] == [("recipe", "failed"), ("changed", "done")]


def test_a_worker_that_cannot_run_leaves_versions_unchecked(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.worker = BrokenWorker(watched.sessions, watched.settings)
    assert watched.watch() == 3
    assert watched.states()["good-2"] == "checking" and watched.said[-1] == "the store is full"
    watched.worker = StandInWorker(watched.sessions, watched.settings)
    assert watched.watch() == 0


def test_a_line_that_cannot_be_listed_does_not_stop_the_others(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    ghost = LineSettings(name="ghost", directory=watched.directory / "ghost")
    lines = [ghost, *watched.settings.lines]
    watched.settings = watched.settings.model_copy(update={"lines": lines})
    assert watched.watch() == 3
    assert watched.states()["good-2"] == "passed"
    assert any("ghost: can't be listed" in sentence for sentence in watched.said)


@pytest.mark.parametrize("kind", ["good", "bad", "odd", "broken"])
def test_a_round_of_unchanged_pushes_asks_the_database_no_more_often_for_more_of_them(
    watched: Watched, kind: str
) -> None:
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)
    engine = watched.sessions.kw["bind"]
    statements: list[str] = []

    def note(*about: object) -> None:
        statements.append(str(about[2]))

    def round_() -> None:
        line.look()
        line.queue(RECIPE, failed_before=0.0)

    def asked() -> int:
        round_()
        watched.worker.run_queued()
        event.listen(engine, "before_cursor_execute", note)
        statements.clear()
        round_()
        event.remove(engine, "before_cursor_execute", note)
        return len(statements)

    watched.push("v1", 0)
    watched.push(f"{kind}-1", 1)
    one = asked()
    for seed in range(2, 8):
        watched.push(f"{kind}-{seed}", seed)
    assert asked() == one > 0
    assert len(watched.worker.ran) == 7


def test_when_a_line_was_last_seen_is_kept_with_what_prevents_it_now(watched: Watched) -> None:
    def line() -> Line:
        with watched.sessions() as session:
            return session.scalars(select(Line).filter_by(name="chat")).one()

    watched.push("v1", 1)
    watched.watch()
    seen = line()
    assert (seen.looked_at, seen.look_problem) == (watched.clock.now, None)
    watched.clock.now += 100
    shutil.move(watched.directory, watched.directory.with_name("elsewhere"))
    watched.watch()
    lost = line()
    assert lost.looked_at == seen.looked_at
    assert lost.look_problem is not None and "can't be listed" in lost.look_problem


def test_what_nobody_expected_of_one_push_keeps_nobody_from_the_others(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit_or_break(sessions: Any, line: str, source: Any, event: Any, now: float) -> Any:
        if event.observation.name == "bad-2":
            raise OverflowError("Python int too large")
        return admit(sessions, line, source, event, now)

    monkeypatch.setattr("monitor.rounds.admit", admit_or_break)
    for number, name in enumerate(("v1", "bad-2", "good-3")):
        watched.push(name, number)
    assert watched.watch() == 3
    assert watched.states() == {"v1": "trusted", "good-3": "passed"}
    assert any("bad-2 could not be taken in: OverflowError" in said for said in watched.said)
    monkeypatch.undo()
    watched.watch()
    assert "bad-2" in watched.states()


def test_a_time_in_the_future_makes_no_version_newer_than_what_is_seen_later(
    watched: Watched,
) -> None:
    watched.configure(quiet_seconds=0.0)
    for file in watched.push("v1", 0).iterdir():
        os.utime(file, (9e9, 9e9))
    watched.watch()
    assert watched.version("v1").published_at <= watched.clock.now


def test_status_counts_what_was_refused_and_names_lines_that_cannot_be_looked_at(
    watched: Watched,
) -> None:
    watched.push("v1", 0)
    broken = watched.push("broken-config", 1) / "config.json"
    broken.write_text("{")
    watched.watch()
    with watched.sessions() as session:
        status = status_of(session, watched.clock.now)
    assert status.unchecked == {"chat": {"undecided": 1}} and status.unread == {}
    assert status.oldest_unchecked is not None
    assert status.oldest_unchecked.name == "chat: broken-config"
    shutil.move(watched.directory, watched.directory.with_name("elsewhere"))
    watched.watch()
    with watched.sessions() as session:
        status = status_of(session, watched.clock.now)
    assert "can't be listed" in status.unread["chat"]
    assert "can't be listed" in status_data(status, 0.0)["unread"]["chat"]


def test_one_round_waits_for_the_quiet_period(watched: Watched) -> None:
    watched.configure(quiet_seconds=50.0, quiet_polls=5)
    watched.push("v1", 0)
    for file in watched.push("good-2", 1).iterdir():
        os.utime(file, (9e9, 9e9))  # times that say nothing
    assert watched.watch() == 0
    assert watched.clock.slept == [10.0] * 5


def test_files_older_than_the_quiet_period_are_not_waited_for(watched: Watched) -> None:
    watched.configure(quiet_seconds=900.0)
    watched.push("v1", 0)
    assert watched.watch() == 0
    assert watched.clock.slept == []


def test_a_push_that_does_not_come_to_rest_is_undecided(watched: Watched) -> None:
    watched.configure(quiet_seconds=900.0, quiet_polls=3)
    watched.push("v1", 0)
    growing = watched.push("good-2", 1) / "log.txt"

    def sleep_while_it_grows(seconds: float) -> None:
        watched.clock.sleep(seconds)
        with growing.open("a") as stream:
            stream.write("still training\n")
        os.utime(growing, (watched.clock.now, watched.clock.now))

    os.utime(growing.parent / "config.json", (watched.clock.now, watched.clock.now))
    around = watched.around._replace(sleep=sleep_while_it_grows)
    assert watch_once(watched.settings, around) == 3
    assert "still being written" in str(watched.rows()["good-2"].reason)
    watched.clock.now += 10_000
    assert watched.watch() == 0


def test_a_marker_decides_without_waiting(watched: Watched) -> None:
    watched.configure(ready_marker="READY", quiet_seconds=9e9)
    (watched.push("v1", 0) / "READY").touch()
    watched.push("good-2", 1)
    assert watched.watch() == 3
    assert "marker 'READY' is not there" in str(watched.rows()["good-2"].reason)
    (watched.directory / "good-2" / "READY").touch()
    assert watched.watch() == 0
    assert watched.clock.slept == []


def test_watching_goes_on_until_it_is_stopped(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("broken-2", 1)
    pauses = 0

    class StoppedError(Exception):
        pass

    def sleep(seconds: float) -> None:
        nonlocal pauses
        assert seconds == watched.settings.poll_seconds
        pauses += 1
        watched.clock.sleep(seconds)
        if pauses == 2:
            watched.push("good-3", 2)
            watched.clock.now += 100.0
        elif pauses == 5:
            watched.worker.repaired = True
            watched.clock.now += RETRY_SECONDS
        elif pauses == 7:
            raise StoppedError

    with pytest.raises(StoppedError):
        watch_forever(watched.settings, watched.around._replace(sleep=sleep))
    assert watched.worker.ran == ["broken-2", "good-3", "broken-2"]
    assert watched.states() == {"v1": "trusted", "broken-2": "passed", "good-3": "passed"}


def test_two_watchers_at_once_make_one_version_and_one_diff(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)

    class Racing(StandInWorker):
        def run_queued(self) -> None:
            watch_once(watched.settings, watched.around)
            super().run_queued()

    racing = Racing(watched.sessions, watched.settings)
    assert watch_once(watched.settings, watched.around._replace(worker=racing)) == 0
    assert watched.count(Version) == 2 and watched.count(Diff) == 1
    assert racing.ran == [] and watched.worker.ran == ["good-2"]


def test_a_push_that_a_database_outage_kept_out_is_taken_in_by_the_next_round(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)

    def away(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr("monitor.rounds.admit", away)
        line.look()
        line.look()
    said = "chat: good-2 could not be taken in: the database can't be used: server closed"
    assert [sentence for sentence in watched.said if sentence.startswith(said)] == [
        said + " the connection"
    ]
    line.look()
    assert line.failures == {} and watched.states() == {"v1": "new", "good-2": "new"}


def test_of_a_backlog_the_newest_are_checked_and_the_rest_is_shown_as_unchecked(
    watched: Watched,
) -> None:
    watched.push("v1", 0)
    for number in range(2, 8):
        path = watched.push(f"good-{number}", number)
        os.utime(path / "model.safetensors", (watched.clock.now - 100 + number,) * 2)
    watched.settings = watched.settings.model_copy(update={"max_waiting": 3})
    assert watched.watch() == 3  # a version that was skipped is never a pass
    assert watched.worker.ran == ["good-7", "good-6", "good-5"]
    rows = watched.rows()
    assert {rows[f"good-{number}"].state for number in (2, 3, 4)} == {"superseded"}
    assert rows["good-2"].reason == "not checked: 3 newer versions were waiting"
    assert "chat: good-2 is superseded, not checked: 3 newer versions were waiting" in watched.said
    with watched.sessions() as session:
        now = watched.clock.now
        status = status_of(session, now)
        assert status.unchecked == {"chat": {"superseded": 3}}
        assert status_data(status, now)["oldest_unchecked"]["state"] == "superseded"
        assert session.scalars(select(Outgoing)).all() == []
    watched.watch()
    assert len(watched.worker.ran) == 3

    with watched.sessions.begin() as session:  # as `latentwatch check` does
        line = session.scalars(select(Line)).one()
        base, skipped = (
            session.scalars(select(Version).filter_by(name=name)).one() for name in ("v1", "good-2")
        )
        diff_queue.queue_diff(session, line, base, skipped, RECIPE, now)
    watched.worker.run_queued()
    assert watched.states()["good-2"] == "passed"


def test_what_somebody_is_at_work_on_is_not_skipped(watched: Watched) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    one_waiting = watched.settings.model_copy(update={"max_waiting": 1})
    line = LineWatch(watched.settings.lines[0], one_waiting, watched.around)
    line.look()
    line.queue(RECIPE, 0.0)
    with watched.sessions.begin() as session:
        assert (
            diff_claims.claim_next(session, watched.clock.now + 1.0, "elsewhere:1:1", 60.0)
            is not None
        )
    for number in (3, 4):
        watched.push(f"good-{number}", number)
    line.look()
    line.queue(RECIPE, 0.0)
    assert sorted(watched.states().values()) == ["checking", "checking", "superseded", "trusted"]
    assert watched.states()["good-2"] == "checking"
