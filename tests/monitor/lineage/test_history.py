"""What the database knows of a line when the page of a new version is written."""

from pathlib import Path

import pytest
from sqlalchemy import text

from alerts.verdict import Verdict, to_json
from monitor.database.schema import Line, Version
from monitor.jobs import diff_queue
from monitor.lineage.history import SHOWN, earlier_verdicts, line_history
from monitor.settings import Settings, load_settings
from tests.alerts import samples
from tests.monitor.conftest import AddVersion, Sessions
from tests.monitor.filled import finish


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    line = {"name": "assistant", "directory": tmp_path, "anchor": "v0"}
    return load_settings(data_dir=tmp_path / "data", lines=[line])


def verdict_on(base: Version, candidate: Version) -> Verdict:
    sample = samples.passed()
    changes = {
        "line": "assistant",
        "base": sample.base.model_copy(update={"digest": base.content_digest}),
        "candidate": sample.candidate.model_copy(update={"digest": candidate.content_digest}),
    }
    return sample.model_copy(update=changes)


def compare(
    sessions: Sessions, line: Line, base: Version, candidate: Version, now: float = 20.0
) -> Verdict:
    """Compare and keep the verdict."""
    verdict = verdict_on(base, candidate)
    with sessions.begin() as session:
        pair = (session.merge(base), session.merge(candidate))
        diff_id = diff_queue.queue_diff(session, line, *pair, "r", 10.0).id
    finish(sessions, diff_id, to_json(verdict), now)
    return verdict


def test_earlier_versions_come_first_and_later_ones_are_not_known(
    sessions: Sessions, line: Line, add_version: AddVersion, settings: Settings
) -> None:
    anchor, base = add_version("v0", trusted=True), add_version("v1", trusted=True)
    earlier, this, later = (add_version(name) for name in ("v2", "v3", "v4"))
    for one in (earlier, later):
        compare(sessions, line, base, one)
    compare(sessions, line, anchor, earlier)
    found = line_history(sessions, settings, verdict_on(base, this))
    assert [(one.name, one.base, one.against, one.state) for one in found] == [
        ("v2", "v1", "trusted", "passed"),
        ("v2", "v0", "anchor", "passed"),
        ("v3", "v1", "trusted", "new"),
    ]


def test_a_verdict_takes_the_place_of_its_forerunner(
    sessions: Sessions, line: Line, add_version: AddVersion, settings: Settings
) -> None:
    base, this = add_version("v1", trusted=True), add_version("v2")
    compare(sessions, line, base, this)
    again = verdict_on(base, this).model_copy(update={"timings": {"probe": 7.0}})
    assert [one.verdict for one in line_history(sessions, settings, again)] == [again]


def test_a_long_line_is_cut_at_its_beginning(
    sessions: Sessions, line: Line, add_version: AddVersion, settings: Settings
) -> None:
    base = add_version("v1", trusted=True)
    versions = [add_version(f"step-{number}") for number in range(SHOWN + 3)]
    for version in versions[:-1]:
        compare(sessions, line, base, version)
    found = line_history(sessions, settings, verdict_on(base, versions[-1]))
    assert [one.name for one in found] == [version.name for version in versions[2:]]


def test_of_earlier_versions_the_newest_verdicts_are_known(
    sessions: Sessions, line: Line, add_version: AddVersion
) -> None:
    base = add_version("v1", trusted=True)
    versions = [add_version(f"step-{number}") for number in range(5)]
    unchecked = versions.pop(2)
    for version in versions:
        compare(sessions, line, base, version)
    anchor = add_version("v0", trusted=True)
    again = compare(sessions, line, anchor, versions[1], 30.0)
    this = versions[-1].content_digest
    compare(sessions, line, base, add_version("step-9"))  # after the candidate

    def earlier(of_line: str, most: int) -> list[tuple[str, Verdict]]:
        with sessions() as session:
            return earlier_verdicts(session, of_line, this, most)

    found = earlier("assistant", 9)
    assert [name for name, _ in found] == ["step-3", "step-1", "step-0"]
    assert found[1] == ("step-1", again) and unchecked.name == "step-2"
    assert earlier("assistant", 2) == found[:2]
    assert earlier("other", 9) == []


def test_a_database_that_cannot_be_read_costs_the_history_alone(
    sessions: Sessions,
    add_version: AddVersion,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    base, this = add_version("v1", trusted=True), add_version("v2")
    outside = verdict_on(base, this).model_copy(update={"line": None})
    assert line_history(sessions, settings, outside) == []
    with sessions.begin() as session:
        session.execute(text("DROP TABLE diffs"))
    assert line_history(sessions, settings, verdict_on(base, this)) == []
    assert "without the line's history" in caplog.text
