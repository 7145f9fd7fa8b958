"""Trust: the table of legal moves, the audit log's chain, and which version is the base."""

from itertools import product

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from monitor.database.schema import Audit, Line, Trust, Version
from monitor.errors import IllegalMoveError, NoTrustedVersionError
from monitor.lineage.trust import (
    AUTOMATIC_MOVES,
    LATENTWATCH,
    PERSONS_MOVES,
    move,
    trusted_base,
    verify_audit,
    was_ever_trusted,
)
from tests.monitor.conftest import AddVersion, Sessions


@pytest.mark.parametrize("actor", [LATENTWATCH, "ann"])
def test_only_the_moves_of_the_table_are_made(
    sessions: Sessions, add_version: AddVersion, actor: str
) -> None:
    legal = AUTOMATIC_MOVES if actor == LATENTWATCH else PERSONS_MOVES
    added = add_version("v1")
    made = set()
    with sessions.begin() as session:
        version = session.get_one(Version, added.id)
        for before, to in product(Trust, Trust):
            session.execute(text("UPDATE versions SET state = :state"), {"state": before.value})
            try:
                move(session, version, to, actor=actor, reason="why", now=2.0)
            except IllegalMoveError as error:
                assert "v1" in str(error) and version.state == before
            else:
                assert version.state == to
                made.add((before, to))
        assert len(session.scalars(select(Audit)).all()) == len(legal)
    assert made == legal


def test_latentwatch_never_trusts_and_never_undoes_a_decision() -> None:
    decided = {Trust.TRUSTED, Trust.QUARANTINED, Trust.FLAGGED}
    assert not any(before in decided for before, _ in AUTOMATIC_MOVES)
    assert not any(to in {Trust.TRUSTED, Trust.QUARANTINED} for _, to in AUTOMATIC_MOVES)


def test_a_move_needs_a_reason(sessions: Sessions, add_version: AddVersion) -> None:
    version = add_version("v1")
    with sessions() as session:
        version = session.get_one(Version, version.id)
        with pytest.raises(IllegalMoveError, match="--reason"):
            move(session, version, Trust.TRUSTED, actor="ann", reason="  ", now=2.0)


def test_the_base_is_the_newest_trusted_version(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    with sessions() as session:
        assert not was_ever_trusted(session, line)
        with pytest.raises(NoTrustedVersionError, match="latentwatch trust assistant"):
            trusted_base(session, line)
    add_version("v2", trusted=True, published_at=20.0)
    add_version("v1", trusted=True, published_at=10.0)
    add_version("v3", published_at=30.0)
    with sessions.begin() as session:
        base = trusted_base(session, line)
        assert base.name == "v2"
        move(session, base, Trust.QUARANTINED, actor="ann", reason="leaks", now=3.0)
        assert trusted_base(session, line).name == "v1"
        assert was_ever_trusted(session, line)


def test_the_newest_was_seen_last_whatever_its_times_unless_its_place_names_another(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    add_version("v2", trusted=True, published_at=20.0)
    late = add_version("copied with its times", trusted=True, published_at=10.0)
    with sessions.begin() as session:
        session.get_one(Version, late.id).registered_at = 50.0
        assert trusted_base(session, line).name == late.name
        line = session.get_one(Line, line.id)
        named = session.scalars(select(Version).filter_by(name="v2")).one()
        line.endorsed_digest = named.content_digest
        assert trusted_base(session, line).name == "v2"
        move(session, named, Trust.QUARANTINED, actor="ann", reason="leaks", now=3.0)
        assert trusted_base(session, line).name == late.name


def test_the_log_is_append_only(sessions: Sessions, add_version: AddVersion) -> None:
    add_version("v1", trusted=True)
    for statement in ("UPDATE audit SET reason = 'x'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="append-only"), sessions.begin() as session:
            session.execute(text(statement))


@pytest.mark.parametrize(
    "tampering, finding",
    [
        ("UPDATE audit SET actor = 'bob' WHERE id = 2", "audit row 2"),
        ("DELETE FROM audit WHERE id = 1", "audit row 2"),
        ("DELETE FROM audit WHERE id = 3", "v3 is trusted but the log says new"),
        ("UPDATE versions SET state = 'passed' WHERE name = 'v2'", "v2 is passed but"),
    ],
)
def test_tampering_with_the_file_is_found(
    sessions: Sessions, add_version: AddVersion, tampering: str, finding: str
) -> None:
    for name in ("v1", "v2", "v3"):
        add_version(name, trusted=True)
    with sessions.begin() as session:
        assert verify_audit(session) == []
        session.execute(text("DROP TRIGGER audit_no_update"))
        session.execute(text("DROP TRIGGER audit_no_delete"))
        session.execute(text(tampering))
    with sessions() as session:
        assert any(finding in problem for problem in verify_audit(session))
