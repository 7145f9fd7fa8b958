"""A watched line by its commands, from the first look to a decision."""

import json
import os
import pwd
from pathlib import Path

import pytest
from sqlalchemy import update

from deploy.bench.made_up import write_checkpoint
from monitor.commands.options import DEFAULT_CONFIG, Format
from monitor.database.opening import open_database
from monitor.database.schema import Diff, StoredCalibration
from monitor.settings import load_settings
from tests.monitor.commands.running import run
from tests.monitor.commands.watched_line import count, watched

pytestmark = pytest.mark.usefixtures("directory")


def test_a_line_that_cannot_be_listed_is_told_once_and_keeps_the_others_in_view() -> None:
    watched(v1=0)
    with Path("latentwatch.toml").open("a") as stream:
        stream.write('[[lines]]\nname = "gone"\ndirectory = "ghost"\n')
    result = run("watch", "--once")
    assert result.exit_code == 3
    assert "ghost: can't be listed" in result.stderr and "no line" not in result.stderr
    assert "v1" in result.stdout


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
