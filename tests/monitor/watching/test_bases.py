"""With which versions a new one is compared: the trusted one, and the anchor."""

from sqlalchemy import select

from monitor.database.schema import Diff, Line, Trust, Version
from monitor.watching.pairing import trust_endorsed
from tests.monitor.watching.watched import WatchedDirectory


def test_the_next_version_is_compared_with_what_was_trusted_meanwhile(
    watched: WatchedDirectory,
) -> None:
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


def test_an_anchor_is_compared_too(watched: WatchedDirectory) -> None:
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


def test_without_a_trusted_version_nothing_is_queued(watched: WatchedDirectory) -> None:
    watched.configure(trusted=None)
    watched.push("v1", 0)
    assert watched.watch() == 3
    assert watched.count(Diff) == 0 and watched.states() == {"v1": "new"}
    assert "no version is trusted" in watched.said[-1]
    watched.decide("v1", Trust.TRUSTED)
    watched.push("good-2", 1)
    assert watched.watch() == 0


def test_a_trusted_version_that_was_refused_is_named(watched: WatchedDirectory) -> None:
    (watched.push("v1", 0) / "pytorch_model.bin").touch()
    watched.push("good-2", 1)
    assert watched.watch() == 3
    assert watched.count(Diff) == 0
    assert "pytorch_model.bin" in watched.said[-1] and "'v1'" in watched.said[-1]


def test_overwriting_the_version_that_the_settings_trust_gains_nothing(
    watched: WatchedDirectory,
) -> None:
    watched.push("v1", 0)
    watched.watch()
    watched.decide("v1", Trust.QUARANTINED)
    watched.push("v1", 1)
    assert watched.watch() == 3
    with watched.sessions() as session:
        assert session.scalars(select(Version.state)).all() == ["quarantined", "new"]


def test_what_was_skipped_is_checked_before_it_can_be_trusted(watched: WatchedDirectory) -> None:
    watched.push("v1", 0)
    watched.watch()
    said: list[str] = []
    with watched.sessions.begin() as session:
        line = session.scalars(select(Line)).one()
        version = session.scalars(select(Version)).one()
        version.state = Trust.SUPERSEDED
        trust_endorsed(session, line, version, "MLflow alias champion", said.append, 0.0)
        version.state = Trust.TRUSTED
    assert "latentwatch check DIRECTORY --baseline trusted --line chat" in said[0]
