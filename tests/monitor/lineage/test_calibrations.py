"""Calibrations in the database: the migration, and which one counts."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, update
from sqlalchemy.orm import Session, sessionmaker

from alerts.deciding.calibration import Calibration
from alerts.verdict import Verdict
from monitor.database.opening import open_database
from monitor.database.schema import Diff, Line, Version
from monitor.jobs.diff_claims import claim_next
from monitor.jobs.diff_endings import finish
from monitor.jobs.diff_queue import queue_diff
from monitor.lineage.calibrations import accepted_releases, keep, latest
from monitor.lineage.overview import UNREADABLE, line_rows
from tests.alerts import samples

Sessions = sessionmaker[Session]
DAY = 86_400.0


def calibration(base: Version, created_at: float) -> Calibration:
    return Calibration(
        schema="latentwatch.calibration/1",
        line="assistant",
        base={"digest": base.content_digest, "locator": base.locator},
        recipe="recipe",
        created_at=created_at,
        alpha=0.05,
        scores={},
        left_out=[],
    )


def test_a_database_from_before_calibrations_keeps_its_rows(database_url: str) -> None:
    path = Path(database_url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True)
    config = Config()
    config.set_main_option("script_location", "monitor.database:migrations")
    with create_engine(database_url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO lines (name, created_at) VALUES ('assistant', 1.0)")
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        assert ("calibrations",) not in tables
    connection.close()
    with open_database(database_url)() as session:
        (row,) = line_rows(session)
        assert (row.name, row.calibrated_at) == ("assistant", None)
        assert latest(session, "assistant", "base", 0.0) is None


def test_the_newest_calibration_of_the_base_counts(
    sessions: Sessions, line: Line, add_version: Callable[..., Version]
) -> None:
    first, second = (
        add_version(name, trusted=True, published_at=at) for name, at in (("a", 1.0), ("b", 2.0))
    )
    with sessions.begin() as session:
        for base, at in ((first, 1.0), (first, 3.0), (second, 2.0)):
            keep(session, base, calibration(base, at * DAY))
    with sessions() as session:
        found = latest(session, line.name, first.content_digest, 5.5 * DAY)
        assert found is not None and found.calibration == calibration(first, 3 * DAY)
        assert found.age_days == 2.5
        other = latest(session, line.name, "unknown base", 5 * DAY)
        assert other is not None and other.calibration.base.digest == first.content_digest
        assert latest(session, "another line", first.content_digest, 5 * DAY) is None
        early = latest(session, line.name, second.content_digest, DAY)
        assert early is not None and early.age_days == 0.0  # a clock that was put back
        (row,) = line_rows(session)
        assert row.calibrated_at == 2 * DAY  # of the newest trusted version


def test_what_another_version_of_latentwatch_wrote_is_no_calibration(
    sessions: Sessions, line: Line, add_version: Callable[..., Version]
) -> None:
    base = add_version("v1", trusted=True)
    with sessions.begin() as session:
        keep(session, base, calibration(base, 0.0))
        session.flush()
        session.connection().exec_driver_sql("UPDATE calibrations SET calibration = '{}'")
    with sessions() as session:
        assert latest(session, line.name, base.content_digest, 0.0) is None


def test_a_release_is_a_null_of_what_was_measured_once_and_never_flagged(
    sessions: Sessions, line: Line, add_version: Callable[..., Version]
) -> None:
    base, release = (add_version(name, trusted=True) for name in ("v1", "v2"))
    undecided = add_version("v3")

    def compared(recipe: str, candidate: Version, **rows: dict[str, object]) -> None:
        behaviours = [samples.behaviour(name, **changes) for name, changes in rows.items()]
        verdict = Verdict.model_validate(
            samples.passed().model_dump()
            | {"behaviours": behaviours}
            | (
                {"verdict": "flagged", "severity": "warning", "reasons": ["It rose."]}
                if any(row["flagged"] for row in behaviours)
                else {}
            )
        )
        with sessions.begin() as session:
            against = session.get_one(Version, candidate.id)
            diff = queue_diff(session, line, base, against, recipe, 0.0)
            assert claim_next(session, 1.0, "host:1:1.00", 60.0, diff.id) is not None
            finish(session, diff.id, diff.fence, verdict.model_dump_json(), 2.0)

    missing = {"shift": None, "ci_low": None, "ci_high": None, "p_corrected": None}
    quiet = {"flagged": False}
    compared("1", release, rose={"flagged": True}, late=missing, never=missing, calm=quiet)
    compared("2", release, rose=quiet, late=quiet, never=missing, floorless={"noise_floor": None})
    compared("1", undecided, calm=quiet)
    with sessions() as session:
        (found,), _ = accepted_releases(session, line.name)
    assert (found.base.name, found.candidate.name) == ("v1", "v2")
    assert found.quiet == {"late", "calm"}
    with sessions.begin() as session:
        session.execute(update(Diff).values(verdict="damaged"))
    with sessions() as session:
        assert accepted_releases(session, line.name) == ([], [f"v2 after v1: {UNREADABLE}"] * 2)


@pytest.mark.parametrize(
    ("third_says", "base_of_third"), [(True, "v2"), (False, "v1")], ids=["all said", "one failed"]
)
def test_a_release_that_was_compared_with_an_anchor_as_well_is_one_null(
    sessions: Sessions,
    line: Line,
    add_version: Callable[..., Version],
    third_says: bool,
    base_of_third: str,
) -> None:
    anchor, second, third = (add_version(name, trusted=True) for name in ("v1", "v2", "v3"))
    said = samples.passed()
    failed = samples.undecided().model_copy(update={"behaviours": []})
    for base, candidate, verdict in (
        (anchor, second, said),
        (anchor, third, said),
        (second, third, said if third_says else failed),
    ):
        with sessions.begin() as session:
            pair = (session.get_one(Version, one.id) for one in (base, candidate))
            diff = queue_diff(session, line, *pair, "1", 0.0)
            assert claim_next(session, 1.0, "host:1:1.00", 60.0, diff.id) is not None
            finish(session, diff.id, diff.fence, verdict.model_dump_json(), 2.0)
    with sessions() as session:
        found, _ = accepted_releases(session, line.name)
    pairs = [(one.base.name, one.candidate.name) for one in found]
    assert pairs == [("v1", "v2"), (base_of_third, "v3")]
