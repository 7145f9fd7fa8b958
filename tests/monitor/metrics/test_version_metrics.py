"""Readings of lines and versions, of one line and of many."""

import pytest
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from monitor.database.schema import Line, Observation, StoredCalibration, Trust
from monitor.lineage.trust import LATENTWATCH, move
from monitor.metrics.reading import Reading
from monitor.metrics.versions import NEWEST, REFUSED, read_versions
from monitor.settings.lines import COMPARISONS, LineSettings
from tests.monitor.conftest import BOTH_DATABASES, Sessions
from tests.monitor.filled import new_version

NOW = 1000.0


def fill(sessions: Sessions, name: str, pushes: int = 2) -> None:
    """A line with pushes, the last one skipped, and one that is refused after another try."""
    with sessions.begin() as session:
        line = Line(name=name, created_at=0.0)
        session.add(line)
    for number in range(pushes):
        version = new_version(sessions, line, f"{name}-{number}", trusted=number == 0)
    with sessions.begin() as session:
        version = session.merge(version)
        move(session, version, Trust.SUPERSEDED, actor=LATENTWATCH, reason="newer", now=1.0)
        for seen_at in (10.0, 20.0):
            session.add(
                Observation(
                    line_id=line.id, name="bad", locator="/m/bad", reason="no", seen_at=seen_at
                )
            )
        # Refused once, and taken in later.
        for seen_at, version_id in ((30.0, None), (40.0, version.id)):
            session.add(
                Observation(
                    line_id=line.id,
                    version_id=version_id,
                    name="late",
                    locator="/m/late",
                    seen_at=seen_at,
                )
            )


def read(sessions: Sessions) -> tuple[list[Reading], int]:
    """The readings, and how many statements they took."""
    told: list[str] = []

    def tell(conn: object, cursor: object, statement: str, *_: object) -> None:
        told.append(statement)

    event.listen(Engine, "before_cursor_execute", tell)
    try:
        with sessions() as session:
            names = session.scalars(select(Line.name).where(Line.name != COMPARISONS)).all()
            told.clear()
            watched = [LineSettings.model_validate({"name": n, "directory": "/m"}) for n in names]
            return list(read_versions(session, watched, NOW)), len(told)
    finally:
        event.remove(Engine, "before_cursor_execute", tell)


@BOTH_DATABASES
def test_many_lines_take_no_more_statements_than_one(sessions: Sessions) -> None:
    fill(sessions, "line-0")
    of_one, statements = read(sessions)
    for number in range(1, 20):
        fill(sessions, f"line-{number}")
    of_many, as_many = read(sessions)
    assert as_many == statements
    assert {one for one in of_many if one.labels[0] == "line-0"} == set(of_one)
    assert len(of_many) > 19 * (len(of_one) - 2)


@BOTH_DATABASES
def test_each_line_has_its_own_figures(sessions: Sessions) -> None:
    fill(sessions, "line-0", pushes=NEWEST + 3)
    fill(sessions, "line-1")
    values = {(one.name, *one.labels): one.value for one in read(sessions)[0]}
    for line, new in (("line-0", NEWEST + 1), ("line-1", 0)):
        assert values["version_state", line, "new"] == new
        assert values["version_state", line, "trusted"] == 1
        assert values["versions_skipped", line] == 1
        assert values["versions_observed", line] == 4
        assert values["version_refused", line] == 1
        assert values["version_oldest_unchecked_seconds", line, REFUSED] == NOW - 20.0
        assert values["version_oldest_unchecked_seconds", line, "checking"] == 0.0
    shown = [key[2] for key in values if key[0] == "version_info" and key[1] == "line-0"]
    assert shown == [f"line-0-{number}" for number in range(NEWEST + 2, 2, -1)]


@pytest.mark.parametrize("endorsed, age", [("v1", 900.0), (None, 800.0)])
@BOTH_DATABASES
def test_the_calibration_is_that_of_the_version_that_is_compared_with(
    sessions: Sessions, endorsed: str | None, age: float
) -> None:
    with sessions.begin() as session:
        line = Line(name="line-0", created_at=0.0)
        session.add(line)
    digests = {
        name: new_version(sessions, line, name, trusted=True).content_digest
        for name in ("v1", "v2")
    }
    with sessions.begin() as session:
        session.merge(line).endorsed_digest = digests.get(endorsed or "")
        for name, made_at in (("v1", 50.0), ("v1", 100.0), ("v2", 200.0)):
            session.add(
                StoredCalibration(
                    line_id=line.id,
                    base_digest=digests[name],
                    recipe_digest="r",
                    created_at=made_at,
                    calibration="{}",
                )
            )
    ages = [o.value for o in read(sessions)[0] if o.name == "line_calibration_age_seconds"]
    assert ages == [age]


def test_nobody_waits_for_what_was_compared_by_hand(sessions: Sessions) -> None:
    fill(sessions, COMPARISONS)
    waited = {one.labels[0] for one in read(sessions)[0] if "unchecked" in one.name}
    assert waited == set()
    fill(sessions, "line-0")
    waited = {one.labels[0] for one in read(sessions)[0] if "unchecked" in one.name}
    assert waited == {"line-0"}
