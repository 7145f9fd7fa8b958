"""What the machine is at fault for is no refusal: it is said, and every look tries again."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from monitor.checkpoints.listing import Listing, list_directory
from monitor.checkpoints.unreadable import unreadable
from monitor.database.schema import Line, Observation, Version
from monitor.errors import CheckpointRefusedError, SourceError, UnknownVersionError
from monitor.lineage.lookup import find_current
from monitor.sources.source import Observation as Observed
from monitor.sources.source import refuse_outage
from monitor.watching.line_watch import LineWatch
from tests.monitor.watching.watched import WatchedDirectory

FAULTS = (errno.EIO, errno.ESTALE, errno.EMFILE)


def failing(works: Callable[..., Any], code: int, *names: str) -> Callable[..., Any]:
    """`works`, but for what is below a place of one of `names`."""

    def fail(path: Any, *rest: Any, **others: Any) -> Any:
        if any(name in str(path) for name in names):
            raise OSError(code, os.strerror(code))
        return works(path, *rest, **others)

    return fail


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
@pytest.mark.parametrize("code", FAULTS)
def test_a_file_that_the_machine_could_not_read_is_read_by_the_next_look(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch, code: int, file: str
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing(Path.open, code, f"good-2/{file}"))
        line.look()
    row = watched.rows()["good-2"]
    assert (row.state, row.digest) == ("undecided", None)
    assert f"not taken in yet: {watched.directory}/good-2/{file}: can't be read now" in str(
        row.reason
    )
    line.look()
    assert watched.states() == {"v1": "new", "good-2": "new"}


def test_a_version_that_the_machine_can_not_list_stays_what_it_is(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.push("v1", 0)
    watched.push("good-2", 1)
    assert watched.watch() == 0
    seen = watched.count(Observation)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing(os.scandir, errno.EIO, "good-2"))
        assert watched.watch() == 3
        with watched.sessions() as session:
            problem = str(session.scalars(select(Line.look_problem)).one())
    assert "good-2 could not be taken in: can't be listed" in problem
    assert any("good-2 could not be taken in: can't be listed" in said for said in watched.said)
    assert watched.count(Observation) == seen and watched.watch() == 0
    with watched.sessions() as session:
        assert session.scalars(select(Line.look_problem)).one() is None


@pytest.mark.parametrize("removed_between", [False, True])
def test_a_push_in_the_place_of_a_version_that_can_not_be_read_is_not_taken_for_that_version(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch, removed_between: bool
) -> None:
    watched.push("v1", 0)
    good = watched.push("good-2", 1)
    assert watched.watch() == 0
    if removed_between:
        shutil.rmtree(good)
        watched.clock.now += 1.0
        assert watched.watch() == 0
    watched.push("good-2", 2)
    watched.clock.now += 1.0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing(Path.open, errno.EIO, "good-2/model.safetensors"))
        assert watched.watch() == 3
    with watched.sessions() as session:
        line = session.scalars(select(Line)).one()
        with pytest.raises(UnknownVersionError, match="still to be taken in: not taken in yet"):
            find_current(session, line, "good-2")
    assert watched.watch() == 0
    with watched.sessions() as session:
        line = session.scalars(select(Line)).one()
        assert find_current(session, line, "good-2").state == "passed"
    assert watched.count(Version) == 3


def test_a_failure_is_told_no_more_once_its_push_is_gone(
    watched: WatchedDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched.push("v1", 0)
    good = watched.push("good-2", 1)
    line = LineWatch(watched.settings.lines[0], watched.settings, watched.around)
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing(os.scandir, errno.EIO, "good-2"))
        line.look()
    assert line.failures.keys() == {"good-2"}
    shutil.rmtree(good)
    line.look()
    assert line.failures == {}


def test_a_place_that_lists_names_and_none_of_its_pushes_is_an_outage() -> None:
    away = Observed("v1", "s3://b/v1", Listing((), "answers 503", unread=True))
    refuse_outage([])
    refuse_outage([away, Observed("v2", "s3://b/v2", Listing(()))])
    with pytest.raises(SourceError, match="answers 503"):
        refuse_outage([away, away])


def test_what_the_push_is_at_fault_for_is_a_refusal(tmp_path: Path) -> None:
    for code in (errno.ENOENT, errno.EACCES, errno.ELOOP):
        error = unreadable(tmp_path / "config.json", OSError(code, os.strerror(code)))
        assert isinstance(error, CheckpointRefusedError)
    for code in FAULTS:
        error = unreadable(tmp_path / "config.json", OSError(code, os.strerror(code)))
        assert isinstance(error, SourceError)
    assert not list_directory(tmp_path / "nowhere").unread
