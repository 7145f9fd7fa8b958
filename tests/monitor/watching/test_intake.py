"""Registering, refusing, finding and locating versions."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import select

from deploy.bench.made_up import write_checkpoint
from monitor.database.schema import Line, Observation, Trust, Version
from monitor.errors import CheckpointChangedError, RefusedPushError, UnknownVersionError
from monitor.lineage.lookup import find_current, find_line, find_version
from monitor.sources.locate import find_files
from monitor.sources.source import Place
from monitor.watching.intake import identify_push, register
from monitor.watching.sightings import let_go, refuse
from tests.monitor.conftest import Sessions


def take_in(sessions: Sessions, line: Line, path: Path) -> Version:
    push = identify_push(sessions, path, path.name, str(path))
    with sessions.begin() as session:
        return register(session, line, push, 5.0).version


def test_a_version_is_located_wherever_its_content_still_lies(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    first = write_checkpoint(tmp_path / "first")
    version = take_in(sessions, line, first)
    second = Path(shutil.copytree(first, tmp_path / "second"))
    assert take_in(sessions, line, second).id == version.id
    assert find_files(sessions, version).path == first
    write_checkpoint(first, seed=1)
    assert find_files(sessions, version).path == second
    shutil.rmtree(second)
    with pytest.raises(CheckpointChangedError, match="publish them again"):
        find_files(sessions, version)


def test_only_changes_are_observed(tmp_path: Path, sessions: Sessions, line: Line) -> None:
    path = write_checkpoint(tmp_path / "v1")
    for _ in range(3):
        take_in(sessions, line, path)
    with sessions.begin() as session:
        assert refuse(session, line, Place("v1", str(path)), "broken", 6.0)
        assert not refuse(session, line, Place("v1", str(path)), "broken", 7.0)
    take_in(sessions, line, path)
    with sessions() as session:
        reasons = session.scalars(select(Observation.reason).order_by(Observation.id)).all()
    assert reasons == [None, "broken", None]


def test_a_version_with_another_place_survives_an_overwritten_one(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    kept = write_checkpoint(tmp_path / "kept")
    version = take_in(sessions, line, kept)
    copy = Path(shutil.copytree(kept, tmp_path / "copy"))
    take_in(sessions, line, copy)
    take_in(sessions, line, write_checkpoint(copy, seed=1))
    with sessions() as session:
        assert session.get_one(Version, version.id).state == Trust.NEW
    take_in(sessions, line, write_checkpoint(kept, seed=2))
    assert locate_fails(sessions, version)


def locate_fails(sessions: Sessions, version: Version) -> bool:
    try:
        find_files(sessions, version)
    except CheckpointChangedError:
        return True
    return False


def test_versions_are_found_by_name_alias_and_digest(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    path = write_checkpoint(tmp_path / "v1")
    version = take_in(sessions, line, path)
    take_in(sessions, line, Path(shutil.copytree(path, tmp_path / "release")))
    with sessions() as session:
        for wanted in ("v1", "release", version.content_digest, version.content_digest[:7]):
            assert find_version(session, line, wanted).id == version.id
        for wanted in ("v2", version.content_digest[:6], "%", "_______"):
            with pytest.raises(UnknownVersionError, match=r"there is no version.*next look"):
                find_version(session, line, wanted)


def test_an_ambiguous_name_needs_a_digest(tmp_path: Path, sessions: Sessions, line: Line) -> None:
    old = take_in(sessions, line, write_checkpoint(tmp_path / "nightly"))
    new = take_in(sessions, line, write_checkpoint(tmp_path / "nightly", seed=1))
    with sessions() as session:
        with pytest.raises(UnknownVersionError, match=new.content_digest[:12]):
            find_version(session, line, "nightly")
        assert find_version(session, line, old.content_digest[:12]).id == old.id


def test_a_refused_name_is_explained(sessions: Sessions, line: Line) -> None:
    with sessions.begin() as session:
        refuse(session, line, Place("v9", "/x/v9"), "pickled", 6.0)
        with pytest.raises(UnknownVersionError, match="'v9' was refused: pickled"):
            find_version(session, line, "v9")


def test_an_unknown_line_is_answered_with_the_known_ones(sessions: Sessions, line: Line) -> None:
    with sessions() as session, pytest.raises(UnknownVersionError, match=r"lines: assistant"):
        find_line(session, "ghost")


def test_a_name_stands_for_what_lies_there_now(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    old = take_in(sessions, line, write_checkpoint(tmp_path / "nightly"))
    new = take_in(sessions, line, write_checkpoint(tmp_path / "nightly", seed=1))
    place = Place("nightly", new.locator)
    with sessions.begin() as session:
        assert find_current(session, line, "nightly").id == new.id
        assert find_current(session, line, old.content_digest[:12]).id == old.id
        refuse(session, line, place, "still being written", 6.0, pending=True)
        with pytest.raises(UnknownVersionError, match=f"to be taken in.*{old.content_digest[:12]}"):
            find_current(session, line, "nightly")
        refuse(session, line, place, "pickled", 7.0)
        with pytest.raises(RefusedPushError, match="'nightly' was refused: pickled"):
            find_current(session, line, "nightly")


def test_a_name_that_moved_back_stands_for_where_it_is(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    first = take_in(sessions, line, write_checkpoint(tmp_path / "a" / "latest"))
    second = take_in(sessions, line, write_checkpoint(tmp_path / "b" / "latest", seed=1))
    with sessions.begin() as session:
        let_go(session, line, {Place("latest", second.locator)}, 8.0)
        assert find_current(session, line, "latest").id == first.id


def test_what_was_seen_after_a_look_began_is_not_gone_by_that_look(
    tmp_path: Path, sessions: Sessions, line: Line
) -> None:
    with sessions.begin() as session:
        place = Place("step-1", "/runs/step-1")
        refuse(session, line, place, "pickled", 5.0)
        let_go(session, line, {place}, 4.0)
        assert session.scalars(select(Observation.gone_at)).one() is None
        let_go(session, line, {place}, 6.0)
        assert session.scalars(select(Observation.gone_at)).one() == 6.0
