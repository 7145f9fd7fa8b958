"""A verdict that was kept is a gate, too: it exits as its check would have."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.verdict import Verdict, to_json
from monitor.cli import app
from tests.alerts.samples import flagged, passed, undecided


def warning() -> Verdict:
    return Verdict.model_validate(flagged().model_dump() | {"severity": "warning"})


@pytest.mark.parametrize(
    ("verdict", "on_warning", "on_critical"),
    [
        (passed(), 0, 0),
        (warning(), 1, 0),
        (flagged(), 1, 1),
        (undecided(), 3, 3),
    ],
    ids=["passed", "warning", "critical", "undecided"],
)
@pytest.mark.parametrize("format_", ["text", "json", "markdown", "junit", "sarif"])
def test_a_kept_verdict_exits_as_its_check_would(
    verdict: Verdict, on_warning: int, on_critical: int, format_: str, tmp_path: Path
) -> None:
    kept = tmp_path / "verdict.json"
    kept.write_text(to_json(verdict))
    command = ["render", str(kept), "--format", format_]
    printed = CliRunner().invoke(app, command)
    assert printed.exit_code == 0 and printed.stdout
    for severity, code in (("warning", on_warning), ("critical", on_critical)):
        done = CliRunner().invoke(app, [*command, "--fail-on", severity])
        assert done.exit_code == code, severity
        if format_ == "junit" and code == 0:
            assert "<failure" not in done.stdout
        else:
            assert done.stdout == printed.stdout


def test_what_is_no_verdict_is_no_pass(tmp_path: Path) -> None:
    kept = tmp_path / "verdict.json"
    kept.write_text("{}")
    assert CliRunner().invoke(app, ["render", str(kept), "--fail-on", "critical"]).exit_code == 2


def test_a_verdict_of_another_release_is_told_as_that_alone(tmp_path: Path) -> None:
    kept = tmp_path / "verdict.json"
    kept.write_text('{"schema": "latentwatch.verdict/99", "findings": []}')
    done = CliRunner().invoke(app, ["render", str(kept)])
    assert done.exit_code == 2 and "latentwatch.verdict/99" in done.stderr
    assert "read it with the release that wrote it" in done.stderr
    assert "add this key" not in done.stderr
