"""What becomes of a push: a version, an alias of one, or a refusal."""

import os
import shutil
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from deploy.bench.made_up import TOKENIZER
from monitor.database.schema import Diff, Observation, Trust, Version
from monitor.watching.admission import admit
from monitor.watching.line_watch import LineWatch
from monitor.watching.rounds import watch_once
from tests.edits import edit_json
from tests.monitor.watching.standin import StandInWorker
from tests.monitor.watching.watched import WatchedDirectory


def test_the_same_content_under_another_name_is_an_alias(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    watched.watch()
    shutil.copytree(watched.directory / "good-2", watched.directory / "release")
    (watched.directory / "latest").symlink_to("good-2")
    assert watched.watch() == 0
    assert watched.count(Version) == 2 and watched.count(Diff) == 1
    assert watched.rows()["good-2"].aliases == ["latest", "release"]


def test_equal_weights_with_another_template_are_only_probed(watched: WatchedDirectory) -> None:
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


def test_a_refused_push_is_recorded_and_the_others_go_on(watched: WatchedDirectory) -> None:
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


def test_a_repaired_push_is_checked(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    os.truncate(watched.push("good-2", 1) / "model.safetensors", 100)
    assert watched.watch() == 3
    watched.push("good-2", 1)
    assert watched.watch() == 0
    assert watched.states() == {"v1": "trusted", "good-2": "passed"}


def test_another_tokenizer_and_shape_with_other_weights_are_compared(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    push = watched.push("good-2", 1)
    edit_json(push / "tokenizer.json", model={**TOKENIZER["model"], "vocab": {"x": 0}})
    edit_json(push / "config.json", hidden_size=16)
    assert watched.watch() == 0
    assert watched.states() == {"v1": "trusted", "good-2": "passed"}


def test_a_version_overwritten_before_it_was_checked_is_superseded(
    watched: WatchedDirectory,
) -> None:
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


def test_what_nobody_expected_of_one_push_keeps_nobody_from_the_others(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def admit_or_break(sessions: Any, line: str, source: Any, event: Any, now: float) -> Any:
        if event.observation.name == "bad-2":
            raise OverflowError("Python int too large")
        return admit(sessions, line, source, event, now)

    monkeypatch.setattr("monitor.watching.line_watch.admit", admit_or_break)
    for number, name in enumerate(("v1", "bad-2", "good-3")):
        watched.push(name, number)
    assert watched.watch() == 3
    assert watched.states() == {"v1": "trusted", "good-3": "passed", "bad-2": "undecided"}
    assert "not taken in yet: OverflowError" in str(watched.rows()["bad-2"].reason)
    assert any("bad-2 could not be taken in: OverflowError" in said for said in watched.said)
    monkeypatch.undo()
    watched.watch()
    assert watched.states()["bad-2"] == "flagged"


def test_a_time_in_the_future_makes_no_version_newer_than_what_is_seen_later(
    watched: WatchedDirectory,
) -> None:
    watched.configure(quiet_seconds=0.0)
    for file in watched.push("v1", 0).iterdir():
        os.utime(file, (9e9, 9e9))
    watched.watch()
    assert watched.version("v1").published_at <= watched.clock.now


def test_two_watchers_at_once_make_one_version_and_one_diff(watched: WatchedDirectory) -> None:
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
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)

    def away(*_: object) -> None:
        raise OperationalError("SELECT secret", {}, Exception("server closed the connection"))

    with monkeypatch.context() as patch:
        patch.setattr("monitor.watching.line_watch.admit", away)
        line.look()
        line.look()
    said = "chat: good-2 could not be taken in: the database can't be used: server closed"
    assert [sentence for sentence in watched.said if sentence.startswith(said)] == [
        said + " the connection"
    ]
    line.look()
    assert line.failures == {} and watched.states() == {"v1": "new", "good-2": "new"}
