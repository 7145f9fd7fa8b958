"""The command line: exit codes, what goes where, and that nothing half-done is left behind."""

import json
import os
import pwd
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from alerts.verdict import Verdict
from deploy.bench.made_up import write_checkpoint
from monitor.cli import app
from monitor.commands.options import DEFAULT_CONFIG, Format
from monitor.database.opening import open_database
from monitor.database.schema import Audit, Diff, Line, Observation, StoredCalibration, Version
from monitor.settings import load_settings
from tests.alerts import samples
from tests.monitor.watching.standin import StandInWorker

CONFIG = """
[[lines]]
name = "chat"
directory = "chat"
quiet_seconds = 0.0
trusted = "v1"
"""


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workers.check.LocalWorker", StandInWorker)
    monkeypatch.setattr("workers.dispatch.local.LocalWorker", StandInWorker)


def run(*args: str) -> Any:
    result = CliRunner().invoke(app, args)
    assert "Traceback" not in result.stderr
    return result


def count(table: type) -> int:
    with open_database("sqlite:///.latentwatch/latentwatch.db")() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def watched(**seeds: int) -> Path:
    """A configured line with these versions."""
    Path("latentwatch.toml").write_text(CONFIG + '[recipe]\nsuites = ["sycophancy"]\n')
    for name, seed in seeds.items():
        write_checkpoint(Path("chat") / name.replace("_", "-"), seed)
    return Path("chat")


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


@pytest.mark.parametrize(
    "args, message",
    [
        (["check", "ghost", "--baseline", "ghost"], "is not a directory"),
        (["check", "."], "--baseline"),
        (["check", "v", "--baseline", "trusted"], "add --line NAME"),
        (["check", "v", "--baseline", "trusted", "--line", "ghost"], "no line 'ghost'"),
        (["check", "v", "--baseline", "v", "--line", "../../up"], "--line '../../up'"),
        (["check", "v", "--baseline", "v", "--line", "comparisons"], "is kept for"),
        (["check", "v", "--baseline", "v", "--config", "ghost.toml"], "ghost.toml"),
        (["check", "v", "--baseline", "v", "--format", "xml"], "xml"),
        (["watch", "--once"], "no line is watched"),
        (["versions", "ghost"], "no line 'ghost'"),
        (["show", "ghost", "v1"], "no line 'ghost'"),
        (["trust", "chat", "v1"], "--reason"),
        (["quarantine", "chat", "v1"], "--reason"),
        (["quarantine", "chat", "v1", "--reason", "x"], "no line 'chat'"),
        (["cancel", "chat", "v1", "--reason", " "], "must say why"),
        (["dance"], "dance"),
        (["lines", "--data-dir", ""], "must not be empty"),
        (["lines", "--config", ""], "must not be empty"),
        (["check", "", "--baseline", "v"], "must not be empty"),
        (["check", "v", "--baseline", "v", "--out", ""], "must not be empty"),
    ],
)
def test_wrong_usage_is_two(args: list[str], message: str) -> None:
    write_checkpoint(Path("v"))
    result = run(*args)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr


def test_the_version_is_that_of_the_distribution() -> None:
    result = run("--version")
    assert result.exit_code == 0
    assert result.stdout == f"latentwatch {metadata.version('latentwatch')}\n"


def test_looking_creates_nothing() -> None:
    watched(v1=0)
    before = sorted(Path().rglob("*"))
    assert run("lines").exit_code == 0
    assert "no line 'chat'" in run("versions", "chat").stderr
    assert sorted(Path().rglob("*")) == before


def test_a_line_that_cannot_be_listed_is_told_once_and_keeps_the_others_in_view() -> None:
    watched(v1=0)
    with Path("latentwatch.toml").open("a") as stream:
        stream.write('[[lines]]\nname = "gone"\ndirectory = "ghost"\n')
    result = run("watch", "--once")
    assert result.exit_code == 3
    assert "ghost: can't be listed" in result.stderr and "no line" not in result.stderr
    assert "v1" in result.stdout


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


def test_a_line_from_first_look_to_decision() -> None:
    line = watched(v1=0, good_2=1, bad_3=2)
    (write_checkpoint(line / "pickled", 3) / "pytorch_model.bin").touch()
    result = run("watch", "--once")
    assert result.exit_code == 1
    assert "pickled is not checked: pytorch_model.bin" in result.stderr
    assert run("watch", "--once").exit_code == 3  # the flag is known by now, the refusal remains

    table = run("versions", "chat").stdout
    rows = {
        row.split()[0]: row.split()[1] for row in table.splitlines() if row.strip()[:1] in "vgbp"
    }
    assert rows["v1"] == "trusted" and rows["good-2"] == "passed"
    assert rows["bad-3"] == "flagged" and rows["pickled"] == "undecided"
    listed = json.loads(run("versions", "chat", "--format", "json").stdout)
    said = {version["name"]: (version["state"], version["verdict"]) for version in listed}
    assert said["v1"] == ("trusted", None)
    assert said["bad-3"][0] == "flagged" and said["bad-3"][1]["verdict"] == "flagged"
    (chat,) = json.loads(run("lines", "--format", "json").stdout)
    assert chat["trusted"] == ["v1"] and chat["states"]["flagged"] == 1

    user = pwd.getpwuid(os.getuid()).pw_name
    assert run("quarantine", "chat", "bad-3", "--reason", "flatters [bold]").exit_code == 0
    assert "is trusted, was passed" in run("trust", "chat", "good-2", "--reason", "fine").stdout
    shown = run("show", "chat", "bad-3").stdout
    assert f"flagged to quarantined by {user}: flatters [bold]" in shown
    assert "sycophancy" in shown
    begins = {"markdown": "## latentwatch", "junit": "<?xml", "sarif": "{", "json": "{"}
    for format_ in Format:
        shown = run("show", "chat", "bad-3", "--format", format_)
        assert shown.exit_code == 0 and shown.stdout.lstrip().startswith(begins.get(format_, ""))
        without = run("show", "chat", "v1", "--format", format_)
        assert without.exit_code == (0 if format_ in (Format.TEXT, Format.JSON) else 2)
    assert json.loads(run("show", "chat", "bad-3", "--format", "sarif").stdout)["runs"]
    listed = run("lines")
    assert listed.exit_code == 0 and "good-2, v1" in listed.stdout

    again = run("trust", "chat", "good-2", "--reason", "again")
    assert again.exit_code == 2 and "it is trusted already" in again.stderr


def test_who_trusts_an_older_version_is_told_what_the_next_ones_are_compared_with() -> None:
    watched(v1=0)
    assert run("watch", "--once").exit_code == 0
    for seed, name in enumerate(("good-2", "good-3"), 1):
        write_checkpoint(Path("chat") / name, seed)
        assert run("watch", "--once").exit_code == 0
    newest = run("trust", "chat", "good-3", "--reason", "released")
    assert newest.exit_code == 0 and "compared with" not in newest.stdout
    older = run("trust", "chat", "good-2", "--reason", "released too").stdout
    assert "chat: the next versions are compared with good-3 all the same" in older


@pytest.mark.parametrize("command", ["trust", "quarantine"])
def test_no_decision_by_a_name_at_which_another_push_lies_now(command: str) -> None:
    watched(v1=0, good_2=1)
    assert run("watch", "--once").exit_code == 0
    digest = run("versions", "chat", "--format", "json").stdout
    looked_at = {v["name"]: v["digest"] for v in json.loads(digest)}["good-2"]
    write_checkpoint(Path("chat") / "good-2", seed=7)
    assert run("watch", "--once").exit_code == 0
    by_name = run(command, "chat", "good-2", "--reason", "read the verdict")
    assert by_name.exit_code == 2 and "name one by its digest" in by_name.stderr
    (Path("chat") / "good-2" / "config.json").write_text("{")
    assert run("watch", "--once").exit_code == 3
    assert run(command, "chat", "good-2", "--reason", "read it").exit_code == 2
    by_digest = run(command, "chat", looked_at[:12], "--reason", "read the verdict")
    assert by_digest.exit_code == 0, by_digest.stderr


def test_a_known_version_can_be_trusted_while_its_place_is_away() -> None:
    directory = watched(v1=0, good_2=1)
    assert run("watch", "--once").exit_code == 0
    directory.rename("away")
    result = run("trust", "chat", "good-2", "--reason", "released")
    assert result.exit_code == 0 and "can't be listed" in result.stderr


def test_a_version_can_be_trusted_before_the_line_was_ever_watched() -> None:
    watched(v7=0)
    result = run("trust", "chat", "v7", "--reason", "released last year")
    assert (
        result.exit_code == 0 and "v7" in result.stdout and "is trusted, was new" in result.stdout
    )
    (write_checkpoint(Path("chat") / "v8", 1) / "pytorch_model.bin").touch()
    refused = run("trust", "chat", "v8", "--reason", "x")
    assert refused.exit_code == 2 and "only safetensors" in refused.stderr
    assert run("trust", "chat", "../chat/v7", "--reason", "x").exit_code == 2


def test_a_changed_audit_log_is_reported() -> None:
    watched(v1=0)
    assert run("watch", "--once").exit_code == 0
    with open_database("sqlite:///.latentwatch/latentwatch.db").begin() as session:
        session.connection().exec_driver_sql("UPDATE versions SET state = 'passed'")
    result = run("lines")
    assert result.exit_code == 3 and "v1 is passed but the log says trusted" in result.stderr


def test_the_command_line_starts_without_what_only_some_commands_need() -> None:
    script = (
        "import sys, monitor.cli, monitor.jobs.diff_claims, monitor.watching.rounds\n"
        "import monitor.checkpoints.identity\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "heavy = {'torch', 'transformers', 'scipy', 'numpy', 'redis', 'opentelemetry', 'workers'}\n"
        "assert not loaded & heavy, loaded & heavy"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_calibration_needs_a_line_with_a_trusted_version() -> None:
    write_checkpoint(Path("base"))
    write_checkpoint(Path("good"), seed=1)
    assert run("calibrate").exit_code == 2  # --line is missing
    unknown = run("calibrate", "--line", "chat")
    assert unknown.exit_code == 2 and "there is no line 'chat'" in unknown.stderr
    run("check", "good", "--baseline", "base", "--line", "chat")
    untrusted = run("calibrate", "--line", "chat")
    assert untrusted.exit_code == 2 and "latentwatch trust chat" in untrusted.stderr
    assert count(StoredCalibration) == 0


def test_a_verdict_that_can_not_be_read_is_told_and_the_rest_is_shown() -> None:
    watched(v1=0, bad_2=1)
    run("watch", "--once")
    settings = load_settings(DEFAULT_CONFIG)
    for text in ('{"verdict": "passed", "severity": null}', "damaged"):
        with open_database(settings.database_url).begin() as session:
            session.execute(update(Diff).values(verdict=text))
        for format_ in ("text", "json"):
            shown = run("show", "chat", "bad-2", "--format", format_)
            assert shown.exit_code == 0 and "bad-2" in shown.stdout
            assert "its verdict can't be read" in shown.stderr
        printed = run("show", "chat", "bad-2", "--format", "markdown")
        assert printed.exit_code == 2 and "its verdict can't be read" in printed.stderr
        assert run("versions", "chat").exit_code == 0
