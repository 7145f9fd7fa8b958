"""Digests of files are kept while they are of use, and no longer."""

from pathlib import Path

import pytest
from sqlalchemy import event, select, text

from monitor.checkpoints.digest_cache import KEPT_SECONDS, NOTED_SECONDS, DatabaseDigestCache
from monitor.checkpoints.identity import FileDigests, TensorDigest
from monitor.checkpoints.listing import FileStat
from monitor.database.schema import FileDigest
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.watching.watched import Clock

STAT = FileStat("model.safetensors", 5, 1, 2, 3)
DIGESTS = FileDigests("ab", (TensorDigest("w", "F32", (2, 3), "cd"),))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def kept(sessions: Sessions) -> list[str]:
    with sessions() as session:
        return list(session.scalars(select(FileDigest.path).order_by(FileDigest.path)))


@BOTH_DATABASES
def test_what_nobody_asked_for_in_long_goes_and_the_rest_stays(
    sessions: Sessions, clock: Clock
) -> None:
    cache = DatabaseDigestCache(sessions, clock)
    for name in ("/of-use", "/forgotten"):
        cache.put(Path(name), STAT, DIGESTS)
    clock.now += KEPT_SECONDS / 2 + 1
    assert cache.get(Path("/of-use"), STAT) == DIGESTS
    clock.now += KEPT_SECONDS / 2
    cache.put(Path("/new"), STAT, DIGESTS)
    assert kept(sessions) == ["/new", "/of-use"]
    assert cache.get(Path("/of-use"), STAT) == DIGESTS
    assert cache.get(Path("/forgotten"), STAT) is None


def test_asking_often_writes_seldom(sessions: Sessions, clock: Clock) -> None:
    cache = DatabaseDigestCache(sessions, clock)
    cache.put(Path("/a"), STAT, DIGESTS)
    written: list[str] = []

    def note(*about: object) -> None:
        if str(about[2]).startswith("UPDATE"):
            written.append(str(about[2]))

    event.listen(sessions.kw["bind"], "before_cursor_execute", note)
    for _ in range(5):
        clock.now += NOTED_SECONDS / 4
        assert cache.get(Path("/a"), STAT) == DIGESTS
    assert len(written) == 1


def test_another_state_of_the_file_is_another_file(sessions: Sessions, clock: Clock) -> None:
    cache = DatabaseDigestCache(sessions, clock)
    cache.put(Path("/a"), STAT, DIGESTS)
    assert cache.get(Path("/a"), STAT._replace(ctime_ns=9)) is None


@BOTH_DATABASES
def test_the_oldest_are_found_by_an_index(sessions: Sessions) -> None:
    with sessions() as session:
        engine = session.get_bind()
        if engine.dialect.name == "sqlite":
            plan = "EXPLAIN QUERY PLAN DELETE FROM file_digests WHERE asked_at < 5"
        else:
            session.connection().exec_driver_sql("SET LOCAL enable_seqscan = off")
            plan = "EXPLAIN DELETE FROM file_digests WHERE asked_at < 5"
        told = session.connection().exec_driver_sql(plan).all()
    assert "ix_file_digests_asked_at" in str(told)


@BOTH_DATABASES
def test_without_the_database_files_are_read_again_and_nothing_fails(
    sessions: Sessions, caplog: pytest.LogCaptureFixture
) -> None:
    cache = DatabaseDigestCache(sessions)
    with sessions.begin() as session:
        session.execute(text("DROP TABLE file_digests"))
    cache.put(Path("/a"), STAT, DIGESTS)
    assert cache.get(Path("/a"), STAT) is None
    assert "/a: its digests are not kept: the database can't be used" in caplog.text
    assert "/a: whether its digests are known: the database can't be used" in caplog.text
