"""The benchmark of the exporter on a few lines."""

import json
from pathlib import Path

import pytest

from deploy.bench.scrape import command
from deploy.bench.scrape.command import Size
from monitor.errors import DatabaseError
from monitor.metrics import collector


def test_every_version_is_told_from_both_databases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.run(Size((1, 2), 2), tmp_path)
    *rows, summary = map(json.loads, capsys.readouterr().out.splitlines())
    assert [(row["database"], row["versions"]) for row in rows] == [
        (database, versions) for versions in (6, 12) for database in ("sqlite", "postgresql")
    ]
    small, large = rows[0], rows[2]
    assert 0 < small["series"] < large["series"] == rows[3]["series"]
    assert all(0 <= row["median_s"] <= row["max_s"] > 0 for row in rows)
    assert (summary["lines"], summary["versions"], summary["unreadable"]) == (2, 12, [])
    kept = json.loads((tmp_path / "scrape.json").read_text())
    assert [{"benchmark": "scrape", **row} for row in kept["rows"]] == rows
    assert kept["sqlite_median_s"] == large["median_s"]


def test_a_part_that_is_missing_from_an_answer_fails_the_benchmark(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(collector, "read_alerts", away)
    assert not command.run(Size((1,), 2), None)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["unreadable"] == ["alerts"]
