"""The gate of a CI job: its exit code is that of the check, and nothing unchecked passes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import yaml

from alerts.verdict import Verdict, to_json
from deploy.bench.made_up import write_checkpoint
from tests.alerts import samples
from tests.services import program

CI = Path("deploy/ci")
GATE = (CI / "gate.sh").resolve()


def gate(directory: Path, *args: str, check: str = "") -> subprocess.CompletedProcess[str]:
    """Run the gate in `directory`; `check` is a script in the place of `latentwatch check`."""
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    real = f'exec {sys.executable} -c "from monitor.cli import app; app()" "$@"'
    script = f'#!/bin/sh\nif [ "$1" = check ] && [ -n "{check}" ]; then . {check}; fi\n{real}\n'
    (bin_directory / "latentwatch").write_text(script)
    (bin_directory / "latentwatch").chmod(0o755)
    path = f"{bin_directory}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(Path.cwd())}
    return subprocess.run(
        [GATE, *args], cwd=directory, env=environment, capture_output=True, text=True
    )


def saying(directory: Path, verdict: Verdict | None, code: int) -> str:
    """The path of a script that ends as a check with this verdict would."""
    told = directory / "told.json"
    told.write_text("" if verdict is None else to_json(verdict))
    script = directory / "check.sh"
    script.write_text(f"cat {told}; exit {code}\n")
    return str(script)


@pytest.mark.parametrize(
    "verdict, code",
    [(samples.passed(), 0), (samples.flagged(), 1), (samples.undecided(), 3)],
    ids=lambda value: getattr(value, "verdict", None),
)
def test_the_gate_ends_as_the_check_and_leaves_every_report(
    tmp_path: Path, verdict: Verdict, code: int
) -> None:
    check = saying(tmp_path, verdict, code)
    done = gate(tmp_path, "candidate", "base", "reports", check=check)
    assert done.returncode == code, done.stderr
    reports = tmp_path / "reports"
    assert (reports / "latentwatch.md").read_text().startswith("## latentwatch")
    assert Xml.parse(reports / "latentwatch.xml").getroot().tag == "testsuites"
    assert json.loads((reports / "latentwatch.sarif").read_text())["version"] == "2.1.0"


@pytest.mark.parametrize("options", [["--fail-on", "critical"], ["--fail-on=critical"]])
def test_a_warning_that_passes_fails_no_test_case(tmp_path: Path, options: list[str]) -> None:
    warning = Verdict.model_validate(samples.flagged().model_dump() | {"severity": "warning"})
    check = saying(tmp_path, warning, 0)
    done = gate(tmp_path, "candidate", "base", "reports", *options, check=check)
    assert done.returncode == 0, done.stderr
    assert Xml.parse(tmp_path / "reports/latentwatch.xml").findall(".//failure") == []


@pytest.mark.parametrize(("code", "expected"), [(0, 3), (2, 2), (137, 137)])
def test_without_a_verdict_nothing_passes(tmp_path: Path, code: int, expected: int) -> None:
    check = saying(tmp_path, None, code)
    done = gate(tmp_path, "candidate", "base", "reports", check=check)
    assert done.returncode == expected
    assert not (tmp_path / "reports/latentwatch.json").exists()


def test_reports_of_an_earlier_check_do_not_outlive_one_that_fails(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    earlier = [f"latentwatch.{end}" for end in ("json", "md", "xml", "sarif")]
    for name in [*earlier, "verdict.json", "report.html", "notes.txt"]:
        (reports / name).write_text("passed")
    check = saying(tmp_path, None, 2)
    assert gate(tmp_path, "candidate", "base", "reports", check=check).returncode == 2
    assert [path.name for path in reports.iterdir()] == ["notes.txt"]


def test_a_verdict_that_cannot_be_shown_is_no_pass(tmp_path: Path) -> None:
    check = saying(tmp_path, samples.passed(), 0)
    (tmp_path / "told.json").write_text("{}")
    assert gate(tmp_path, "candidate", "base", "reports", check=check).returncode == 3


def test_the_real_check_of_a_copy_passes_and_of_nothing_is_bad_input(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "base")
    shutil.copytree(tmp_path / "base", tmp_path / "copy")
    done = gate(tmp_path, "copy", "base", "reports")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "bin")
    missing = gate(tmp_path, "nowhere", "base", "more")
    assert missing.returncode == 2 and "nowhere" in missing.stderr


def test_too_few_arguments_are_bad_input(tmp_path: Path) -> None:
    assert gate(tmp_path, "candidate").returncode == 2


def test_shellcheck_finds_nothing_to_say() -> None:
    scripts = [str(path) for path in sorted(CI.glob("*.sh"))]
    for step in yaml.safe_load((CI / "action.yml").read_text())["runs"]["steps"]:
        assert step["shell"] == "bash"
        checked = subprocess.run(
            [_shellcheck(), "--shell=bash", "-"], input=step["run"], capture_output=True, text=True
        )
        assert checked.returncode == 0, checked.stdout
    checked = subprocess.run([_shellcheck(), *scripts], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_templates_name_what_the_gate_leaves() -> None:
    left = {"latentwatch.md", "latentwatch.xml", "latentwatch.sarif", "latentwatch.json"}
    action, gitlab = ((CI / name).read_text() for name in ("action.yml", "gitlab.yml"))
    assert yaml.safe_load(gitlab)[".latentwatch"]["artifacts"]["reports"]["junit"].endswith(
        "/latentwatch.xml"
    )
    assert "$REPORTS/latentwatch.md" in action
    script = GATE.read_text()
    assert all(name.rpartition(".")[2] in script for name in left)


def _shellcheck() -> str:
    beside = Path(sys.executable).with_name("shellcheck")
    return str(beside) if beside.exists() else program("shellcheck", "shellcheck")
