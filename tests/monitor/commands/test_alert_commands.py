"""The commands about alerts: what they print and how they end."""

import json
import time
from pathlib import Path

import pytest

from deploy.fake_slack.faults import Fault
from deploy.fake_slack.server import FakeSlack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN
from monitor.owner import this_user
from monitor.paging import sample_alert
from tests.alerts import samples
from tests.fakes.pagerduty import ROUTING_KEY, fake_pagerduty
from tests.monitor.commands.running import MAIL, run
from tests.monitor.jobs.questions import FEATURE, give_answer
from tests.monitor.paging.alerting import ALERTS, Desk, desk
from tests.monitor.paging.destinations import PASSWORD, mail_server

__all__ = ["desk"]


def test_a_sample_is_posted_with_its_picture(slack: FakeSlack) -> None:
    result = run("alerts", "test", "--channel", ALERTS)
    assert result.exit_code == 0 and "posted to C0ALERTS" in result.stdout
    [message] = slack.workspace.in_channel(ALERTS)
    assert message["text"].startswith("This is a sample")
    assert message["blocks"][0]["text"]["text"].startswith("*This is a sample")
    assert message["blocks"][-1]["type"] == "actions"
    [reply] = slack.workspace.thread(ALERTS, message["ts"])
    content = slack.workspace.files[reply["files"][0]["id"]]["content"]
    assert content.startswith(b"\x89PNG\r\n\x1a\n")


def test_a_destination_is_told_of_the_sample(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "LATENTWATCH_ALERTS__DESTINATIONS__ONCALL__ROUTING_KEY"
    monkeypatch.setenv(variable, ROUTING_KEY)
    monkeypatch.setattr(sample_alert, "SAMPLE_SECONDS", 0.1)
    with fake_pagerduty() as pagerduty, Path("latentwatch.toml").open("a") as settings:
        settings.write(
            f'[alerts.destinations.oncall]\nkind = "pagerduty"\nurl = "{pagerduty.url}"\n'
        )
        settings.flush()
        result = run("alerts", "test", "--channel", "oncall")
        assert result.exit_code == 0, result.stderr
        [incident] = pagerduty.account.incidents
        assert incident.status == "resolved"
        assert "This is a sample" in str(incident.events[0]["payload"]["custom_details"]["reasons"])
        assert [event["event_action"] for event in incident.events] == ["trigger", "resolve"]
        monkeypatch.setenv(variable, "W" * 32)
        refused = run("alerts", "test", "--channel", "oncall")
        assert refused.exit_code == 2 and "oncall: answered 400" in refused.stderr
        assert "W" * 32 not in refused.stderr


def test_the_end_of_a_mailed_sample_answers_its_first_mail(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample_alert, "SAMPLE_SECONDS", 0.1)
    monkeypatch.setenv("LATENTWATCH_ALERTS__DESTINATIONS__MAIL__PASSWORD", PASSWORD)
    with mail_server(tmp_path) as box, Path("latentwatch.toml").open("a") as settings:
        settings.write(
            f'[alerts.destinations.mail]\nkind = "email"\nhost = "localhost"\nport = {box.port}\n'
            f'ca_file = "{box.certificate}"\nusername = "latentwatch"\n'
            'sender = "latentwatch@lab.example"\nrecipients = ["ada@lab.example"]\n'
        )
        settings.flush()
        result = run("alerts", "test", "--channel", "mail")
    assert result.exit_code == 0, result.stderr
    first, over = box.mails
    assert over["In-Reply-To"] == first["Message-ID"] and first["In-Reply-To"] is None


def test_a_name_that_is_no_destination_is_not_looked_for_in_slack(slack: FakeSlack) -> None:
    with Path("latentwatch.toml").open("a") as settings:
        settings.write(MAIL)
    result = run("alerts", "test", "--channel", "mialdown")
    assert result.exit_code == 2 and slack.workspace.calls == []
    assert "no destination is called 'mialdown'; there are maildown." in result.stderr


def test_a_user_of_a_mail_server_needs_a_password(slack: FakeSlack) -> None:
    with Path("latentwatch.toml").open("a") as settings:
        settings.write(MAIL + 'username = "latentwatch"\n')
    result = run("alerts", "serve")
    assert result.exit_code == 2
    assert "set LATENTWATCH_ALERTS__DESTINATIONS__MAILDOWN__PASSWORD" in result.stderr


def test_tokens_that_are_swapped_are_refused_and_shown_nowhere(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", APP_TOKEN)
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", BOT_TOKEN)
    said = run("doctor").stderr
    assert "SLACK__BOT_TOKEN: alerts.slack.bot_token: begins with xapp-" in said
    assert "SLACK__APP_TOKEN: alerts.slack.app_token: begins with xoxb-" in said
    assert APP_TOKEN not in said and BOT_TOKEN not in said
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", f"{APP_TOKEN} more")
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", f"{BOT_TOKEN}\n")
    said = run("doctor").stderr
    assert "alerts.slack.app_token: holds white space" in said and APP_TOKEN not in said
    assert "bot_token" not in said  # a line's end is none of it


def test_a_sample_that_can_not_be_posted_says_why(slack: FakeSlack) -> None:
    result = run("alerts", "test", "--channel", "C0OTHER")
    assert result.exit_code == 2
    assert "C0OTHER: Slack says not_in_channel; `latentwatch doctor`" in result.stderr
    slack.workspace.faults.add(Fault("chat.postMessage", "broken"))
    assert "Slack answered 500" in run("alerts", "test", "--channel", ALERTS).stderr


def test_without_a_token_the_variable_is_named(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN")
    result = run("alerts", "test", "--channel", "C0A")
    assert result.exit_code == 2
    assert "set LATENTWATCH_ALERTS__SLACK__BOT_TOKEN" in result.stderr


def test_serving_needs_a_route(slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN")
    Path("latentwatch.toml").write_text("")
    result = run("alerts", "serve")
    assert result.exit_code == 2 and "add [[alerts.routes]]" in result.stderr


def test_alerts_are_listed_the_worst_first_with_what_became_of_their_messages(
    desk: Desk, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", None)
    desk.check(base, "v3", samples.flagged())
    desk.send_all(desk.pager())
    found = json.loads(run("alerts", "list", "--format", "json", "--data-dir", "data").stdout)
    assert [(row["version"], row["finding"], row["messages"]) for row in found] == [
        ("v3", "flagged", {ALERTS: "sent"}),
        ("v2", "undecided", {ALERTS: "sent"}),
    ]
    decision = ("quarantine", "assistant", found[0]["digest"], "--reason", "flatters")
    assert run(*decision, "--data-dir", "data").exit_code == 0
    left = run("alerts", "list", "--data-dir", "data").stdout
    assert "v2" in left and "v3" not in left and "no space left" in left
    assert "quarantined by" in run("alerts", "list", "--all", "--data-dir", "data").stdout


@pytest.fixture
def flagged(desk: Desk, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk with one alert, whose database the commands find under `--data-dir data`."""
    monkeypatch.chdir(tmp_path)
    desk.check(desk.add_version("v1", trusted=True), "v2", samples.flagged())
    return desk


def test_a_question_is_cancelled_once(flagged: Desk) -> None:
    alert = flagged.alert().fingerprint[:12]
    asked = run("alerts", "ask", alert, "--seeds", "2", "--data-dir", "data")
    assert asked.exit_code == 0, asked.stderr
    assert "2 further seeds" in run("status", "--data-dir", "data").stdout
    printed = json.loads(run("status", "--format", "json", "--data-dir", "data").stdout)
    assert [(one["id"], one["state"]) for one in printed["questions"]] == [(1, "queued")]
    command = ("alerts", "cancel", "1", "--reason", "not needed", "--data-dir", "data")
    assert "question 1: cancelled" in run(*command).stdout
    again = run(*command)
    assert again.exit_code == 2 and "is cancelled already" in again.stderr
    unknown = run("alerts", "cancel", "7", "--reason", "x", "--data-dir", "data")
    assert unknown.exit_code == 2 and "there is none" in unknown.stderr
    assert "cancelled by" in run("alerts", "answers", alert, "--data-dir", "data").stdout


def test_more_is_asked_for_and_all_of_the_answer_is_shown(flagged: Desk) -> None:
    alert = flagged.alert().fingerprint[:12]
    nothing = run("alerts", "answers", alert, "--data-dir", "data")
    assert nothing.exit_code == 0 and "nothing was asked" in nothing.stdout
    Path("prompt.txt").write_text("Is it\n[bold]good[/bold]? \x1b[31m")
    options = ("--feature", FEATURE, "--prompt-file", "prompt.txt", "--data-dir", "data")
    asked = run("alerts", "ask", alert, *options)
    assert asked.exit_code == 0 and "question 1: asked" in asked.stdout
    flagged.clock.now = time.time() + 1.0
    give_answer(flagged, "yes <!here>\n[red]indeed " + "x" * 1000)
    shown = run("alerts", "answers", alert, "--data-dir", "data")
    assert "[bold]good[/bold]? [31m" in shown.stdout and "\x1b" not in shown.stdout
    assert "ablated yes <!here>" in shown.stdout and "[red]indeed" in shown.stdout
    assert f"by {this_user()}" in shown.stdout and "Candidate with 3 times" in shown.stdout
    options = ("--format", "json", "--data-dir", "data")
    [row] = json.loads(run("alerts", "answers", alert, *options).stdout)
    assert row["state"] == "answered" and row["answer"]["base"].endswith("x" * 1000)
    assert row["asked"]["prompt"] == "Is it\n[bold]good[/bold]? [31m"


@pytest.mark.parametrize(
    "options, told",
    [
        ((), "give one of --suite, --seeds, and --feature with --prompt"),
        (("--prompt", "p"), "give one of --suite, --seeds"),
        (("--suite", "honesty", "--prompt", "p"), "give one of"),
        (("--suite", "honesty", "--seeds", "1"), "give one of"),
        (("--seeds", "4"), "--seeds: Input should be less than or equal to 3"),
        (("--suite", "../etc/passwd"), "--suite: String should match"),
        (("--suite", "sycophancy"), "'sycophancy' can't be asked about"),
        (("--feature", FEATURE, "--prompt", " "), "--prompt: String should have at least 1"),
        (("--feature", FEATURE, "--prompt", "x" * 2001), "--prompt: String should have at most"),
        (("--feature", "base-31", "--prompt", "p"), "'base-31' can't be asked about; there are"),
        (("--feature", FEATURE, "--prompt-file", "none.txt"), "none.txt: can't be read as text"),
        (("--feature", "candidate-10", "--prompt", "a", "--prompt-file", "x"), "two prompts"),
    ],
)
def test_what_can_not_be_asked_is_refused_with_the_reason(
    flagged: Desk, options: tuple[str, ...], told: str
) -> None:
    result = run("alerts", "ask", flagged.alert().fingerprint, *options, "--data-dir", "data")
    assert result.exit_code == 2 and told in " ".join(result.stderr.split())
    unknown = run("alerts", "ask", "0" * 12, "--suite", "honesty", "--data-dir", "data")
    assert unknown.exit_code == 2 and "is the beginning of 0 alerts" in unknown.stderr
    short = run("alerts", "ask", "0", "--suite", "honesty", "--data-dir", "data")
    assert short.exit_code == 2 and "0: is too short for an alert" in short.stderr
