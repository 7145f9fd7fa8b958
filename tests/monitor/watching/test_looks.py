"""What a look at a line keeps and costs, and what status says of it."""

import shutil
import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event, select

from deploy.bench.made_up import write_checkpoint
from monitor.checkpoints.identity import FileDigests, digest_file
from monitor.database.schema import Line, Trust
from monitor.jobs.status import status_of
from monitor.metrics.versions import read_versions
from monitor.settings.lines import LineSettings
from monitor.terminal.status import status_data
from monitor.watching.line_watch import LineWatch
from monitor.watching.rounds import watch_forever
from tests.monitor.watching.standin import RECIPE
from tests.monitor.watching.watched import WatchedDirectory


def test_a_line_that_cannot_be_listed_does_not_stop_the_others(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    ghost = LineSettings(name="ghost", directory=watched.directory / "ghost")
    lines = [ghost, *watched.settings.lines]
    watched.settings = watched.settings.model_copy(update={"lines": lines})
    assert watched.watch() == 3
    assert watched.states()["good-2"] == "passed"
    assert any("ghost: can't be listed" in sentence for sentence in watched.said)


def test_a_push_that_takes_long_to_read_keeps_no_other_line_from_being_watched(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = watched.directory.with_name("slow")
    for seed, name in enumerate(("v1", "good-2")):
        watched.push(name, seed)
        write_checkpoint(slow / f"slow-{name}", seed + 5)
    line = LineSettings(name="slow", directory=slow, trusted="slow-v1")
    lines = [line, *watched.settings.lines]
    watched.settings = watched.settings.model_copy(update={"lines": lines})
    released = Event()

    def digest_slowly(path: Path, *rest: Any) -> FileDigests:
        if "slow-good" in str(path):
            assert released.wait(60.0)
        return digest_file(path, *rest)

    monkeypatch.setattr("monitor.checkpoints.identity.digest_file", digest_slowly)
    monkeypatch.setattr("monitor.watching.looks.PATIENCE_SECONDS", 3.0)
    rounds = 0

    class StoppedError(Exception):
        pass

    def taken_in_since() -> dict[str, float | None]:
        with watched.sessions() as session:
            return dict(session.execute(select(Line.name, Line.taking_in_since)).all())

    def sleep(seconds: float) -> None:
        nonlocal rounds
        rounds += 1
        watched.clock.sleep(seconds)
        if rounds == 8:
            assert watched.worker.ran == ["good-2"]
            assert [name for name, since in taken_in_since().items() if since] == ["slow"]
            released.set()
        if rounds > 8:
            time.sleep(0.1)
        if "slow-good-2" in watched.worker.ran:
            raise StoppedError
        assert rounds < 300

    with pytest.raises(StoppedError):
        watch_forever(watched.settings, watched.around._replace(sleep=sleep))
    assert watched.worker.ran == ["good-2", "slow-good-2"]
    assert taken_in_since() == {"chat": None, "slow": None}


@pytest.mark.parametrize("kind", ["good", "bad", "odd", "broken"])
def test_a_round_of_unchanged_pushes_asks_the_database_no_more_often_for_more_of_them(
    watched: WatchedDirectory, kind: str
) -> None:
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)
    engine = watched.sessions.kw["bind"]
    statements: list[str] = []

    def note(*about: object) -> None:
        statements.append(str(about[2]))

    def round_() -> None:
        line.look()
        line.queue(RECIPE, retry_after=0.0)

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


def test_when_a_line_was_last_seen_is_kept_with_what_prevents_it_now(
    watched: WatchedDirectory,
) -> None:
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


def test_what_keeps_versions_from_being_queued_is_shown_until_it_does_no_more(
    watched: WatchedDirectory,
) -> None:
    def held_up() -> dict[str, str]:
        with watched.sessions() as session:
            return status_of(session, watched.clock.now).unread

    watched.push("v1", 0)
    watched.configure(trusted=None)
    watched.watch()
    assert "no version is trusted" in held_up()["chat"]
    watched.decide("v1", Trust.TRUSTED)
    watched.watch()
    assert held_up() == {}


def test_status_counts_what_was_refused_and_names_lines_that_cannot_be_looked_at(
    watched: WatchedDirectory,
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


def test_a_refused_push_counts_for_as_long_as_it_lies_there(watched: WatchedDirectory) -> None:
    def refused() -> int:
        with watched.sessions() as session:
            readings = read_versions(session, watched.settings.lines, watched.clock.now)
            (number,) = [one.value for one in readings if one.name == "version_refused"]
            assert number == status_of(session, 0.0).unchecked.get("chat", {}).get("undecided", 0)
            return int(number)

    watched.push("v1", 0)
    (watched.push("pickled", 1) / "pytorch_model.bin").touch()
    assert watched.watch() == 3 and refused() == 1
    aside = shutil.move(watched.directory / "pickled", watched.directory.with_name("aside"))
    assert watched.watch() == 0 and refused() == 0
    assert "gone: pytorch_model.bin" in str(watched.rows()["pickled"].reason)
    shutil.move(aside, watched.directory / "pickled")
    assert watched.watch() == 3 and refused() == 1
    (watched.directory / "pickled" / "pytorch_model.bin").unlink()
    assert watched.watch() == 0 and refused() == 0 and watched.states()["pickled"] == "passed"
