"""What lists show of a line that has many versions."""

from sqlalchemy import event
from sqlalchemy.orm import Session

from alerts.verdict import to_json
from monitor.database.schema import Diff, DiffState, Line, Observation, Version
from monitor.lineage.overview import Said, version_rows
from tests.alerts import samples
from tests.monitor.conftest import BOTH_DATABASES, AddVersion, Sessions


def statements(session: Session, line: Line) -> int:
    """How many it takes to list `line`."""
    counted: list[str] = []

    def count(*about: object) -> None:
        counted.append(str(about[2]))

    engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", count)
    version_rows(session, line)
    event.remove(engine, "before_cursor_execute", count)
    return len(counted)


@BOTH_DATABASES
def test_a_list_takes_as_many_statements_whatever_its_length(
    sessions: Sessions, add_version: AddVersion
) -> None:
    taken = []
    for number in range(4):
        add_version(f"v{number}")
        with sessions() as session:
            taken.append(statements(session, session.get_one(Line, 1)))
    assert len(set(taken)) == 1


@BOTH_DATABASES
def test_of_several_comparisons_and_names_the_last_verdict_and_all_names_are_shown(
    sessions: Sessions, add_version: AddVersion
) -> None:
    version: Version = add_version("v1")
    with sessions.begin() as session:
        line = session.get_one(Line, version.line_id)
        for name in ("v1", "latest", "v1", "best"):
            place = {"name": name, "locator": f"/{name}", "seen_at": 1.0}
            session.add(Observation(line_id=line.id, version_id=version.id, **place))
        for recipe, ended, verdict in (
            ("a", 2.0, to_json(samples.flagged())),
            ("b", 3.0, None),
            ("c", 1.0, to_json(samples.passed())),
        ):
            session.add(
                Diff(
                    line_id=line.id,
                    base_digest="base",
                    candidate_digest=version.content_digest,
                    recipe_digest=recipe,
                    probe_only=False,
                    state=DiffState.DONE if verdict else DiffState.FAILED,
                    verdict=verdict,
                    queued_at=0.0,
                    finished_at=ended,
                )
            )
    with sessions() as session:
        [row] = version_rows(session, session.get_one(Line, version.line_id))
    assert row.aliases == ["latest", "best"]
    assert row.verdict == Said("flagged", "critical")
