"""`check`: exit codes, what is refused, and which checks decide about a version."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from alerts.verdict import Verdict
from deploy.bench.made_up import write_checkpoint
from monitor.cli import app
from monitor.database.schema import Audit, Diff, Line, Observation, Version
from tests.alerts import samples
from tests.monitor.commands.running import run
from tests.monitor.commands.watched_line import count, watched

pytestmark = pytest.mark.usefixtures("directory")


@pytest.mark.parametrize(
    "name, code, outcome",
    [
        ("good", 0, "passed"),
        ("bad", 1, "flagged"),
        ("odd", 3, "undecided"),
        ("broken", 3, "undecided"),
    ],
)
def test_check_answers_with_a_verdict_and_its_code(name: str, code: int, outcome: str) -> None:
    write_checkpoint(Path("base"))
    write_checkpoint(Path(name), seed=1)
    result = run("check", name, "--baseline", "base", "--format", "json")
    assert result.exit_code == code
    verdict = Verdict.model_validate_json(result.stdout)
    assert verdict.verdict == outcome
    again = run("check", name, "--baseline", "base")
    assert again.exit_code == code and again.stdout.lower().startswith(outcome)
    markdown = run("check", name, "--baseline", "base", "--format", "markdown")
    assert markdown.exit_code == code and markdown.stdout.startswith("## latentwatch")
    assert count(Diff) == 1
    for format_, begin in (("junit", "<?xml"), ("sarif", "{"), ("markdown", "## latentwatch")):
        direct = run("check", name, "--baseline", "base", "--format", format_)
        Path("verdict.json").write_text(result.stdout)
        kept = run("render", "verdict.json", "--format", format_)
        assert (direct.exit_code, kept.exit_code) == (code, 0)
        assert direct.stdout == kept.stdout and kept.stdout.startswith(begin)


@pytest.mark.parametrize(
    "name, severity, fail_on, code",
    [
        ("bad", "critical", "critical", 1),
        ("bad", "warning", "critical", 0),
        ("bad", "warning", "warning", 1),
        ("odd", None, "critical", 3),
    ],
)
def test_a_gate_may_let_warnings_pass_and_never_what_is_undecided(
    name: str, severity: str | None, fail_on: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = samples.flagged() if severity else samples.undecided()
    verdict = sample.model_copy(update={"severity": severity})
    monkeypatch.setattr("workers.check.check_pair", lambda *_: verdict)
    result = run("check", name, "--baseline", "base", "--fail-on", fail_on, "--format", "json")
    assert result.exit_code == code
    assert Verdict.model_validate_json(result.stdout).severity == severity


def test_a_kept_verdict_that_is_none_is_refused_by_name() -> None:
    Path("verdict.json").write_text('{"schema": "something else"}')
    result = run("render", "verdict.json")
    assert result.exit_code == 2 and "verdict.json" in result.stderr


def test_check_of_equal_content_passes_and_registers_nothing() -> None:
    write_checkpoint(Path("base"))
    write_checkpoint(Path("copy"))
    result = run("check", "copy", "--baseline", "base", "--format", "json")
    assert result.exit_code == 0
    assert "same content" in Verdict.model_validate_json(result.stdout).reasons[0]
    assert count(Version) == count(Diff) == 0


@pytest.mark.parametrize("side", ["candidate", "baseline"])
@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda path: (path / "model.safetensors").write_bytes(b"x" * 40), "model.safetensors"),
        (lambda path: (path / "pytorch_model.bin").touch(), "only safetensors"),
        (lambda path: (path / "config.json").unlink(), "config.json"),
    ],
)
def test_check_refuses_bad_input_and_leaves_no_row(side: str, spoil: Any, message: str) -> None:
    paths = {"candidate": write_checkpoint(Path("candidate"), 1)}
    paths["baseline"] = write_checkpoint(Path("baseline"), 2)
    spoil(paths[side])
    result = run("check", "candidate", "--baseline", "baseline", "--format", "json")
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and "error: " in result.stderr
    assert f"{side} {paths[side].resolve()}" in result.stderr
    for table in (Line, Version, Observation, Diff, Audit):
        assert count(table) == 0


def test_what_nobody_expected_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    def fall_over(*args: object, **options: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("workers.check.LocalWorker", fall_over)
    write_checkpoint(Path("base"))
    result = CliRunner().invoke(app, ["check", "base", "--baseline", "base"])
    assert result.exit_code == 3 and result.stdout == ""
    assert "nothing was decided" in result.stderr


def test_check_against_the_trusted_version_decides_about_the_candidate() -> None:
    watched(v1=0)
    write_checkpoint(Path("good-2"), seed=1)
    result = run("check", "good-2", "--baseline", "trusted", "--line", "chat", "--format", "json")
    assert result.exit_code == 0
    shown = json.loads(run("show", "chat", "good-2", "--format", "json").stdout)
    assert shown["state"] == "passed" and shown["diffs"][0]["base"]["name"] == "v1"
    assert shown["diffs"][0]["verdict"]["verdict"] == "passed"


def test_check_against_any_path_does_not_decide_about_the_candidate() -> None:
    watched(v1=0, good_2=1)
    write_checkpoint(Path("else"), seed=2)
    check = ["check", "chat/good-2", "--baseline", "else", "--line", "chat"]
    assert run(*check).exit_code == 0
    assert json.loads(run("show", "chat", "good-2", "--format", "json").stdout)["state"] == "new"
    assert run("watch", "--once").exit_code == 0
    shown = json.loads(run("show", "chat", "good-2", "--format", "json").stdout)
    assert {diff["base"]["name"] for diff in shown["diffs"]} == {"v1", "else"}


def test_check_without_a_trusted_version() -> None:
    watched(v1=0)
    (Path("chat") / "v1" / "pytorch_model.bin").touch()
    write_checkpoint(Path("good-2"), seed=1)
    result = run("check", "good-2", "--baseline", "trusted", "--line", "chat")
    assert result.exit_code == 2 and "pytorch_model.bin" in result.stderr
    assert count(Version) == count(Diff) == 0
