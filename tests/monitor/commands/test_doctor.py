"""The doctor: what it finds missing or wrong, with the remedy; one fault hides no other."""

from pathlib import Path

import pytest

from alerts.channel import ChannelError, NotNowError, RefusedError, UnclearError
from alerts.destinations.email import Email
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import Workspace
from monitor.paging.slack_doctor import _remedy, examine_slack
from tests.monitor.commands.running import MAIL, routed, run
from tests.monitor.paging.alerting import ALERTS, Clock, alert_settings


def test_the_doctor_finds_nothing_where_all_is_set_up(slack: FakeSlack) -> None:
    result = run("doctor")
    assert result.exit_code == 0, result.stdout
    assert "PROBLEM" not in result.stdout
    for told in (
        "latentwatch in Fake workspace",
        "#model-alerts",
        "@safety-reviewers",
        "Socket",
        "route 1: has no ladder",
    ):
        assert told in result.stdout


def test_a_missing_token_hides_nothing_else(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN")
    result = run("doctor")
    assert result.exit_code == 2
    assert "PROBLEM Slack: alerts.slack.bot_token: is not set; set LATENTWATCH" in result.stdout
    assert "route 1: has no ladder" in result.stdout


def test_the_doctor_names_everything_that_is_missing(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.workspace.scopes = ("chat:write", "channels:read", "usergroups:read", "channels:history")
    routed("C0OTHER", "S0GONE")
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", "xapp-wrong")
    result = run("doctor")
    assert result.exit_code == 2
    problems = [line for line in result.stdout.splitlines() if line.startswith("PROBLEM")]
    assert [line.split(":")[0] for line in problems] == [
        "PROBLEM scopes",
        "PROBLEM app token",
        "PROBLEM channel C0OTHER",
        "PROBLEM user group S0GONE",
        "PROBLEM user U0ADA",
    ]
    assert "missing: files:write, users:read;" in problems[0] and "/invite it" in problems[2]
    assert "xapp-wrong" not in result.stdout


def test_the_doctor_names_the_fields_of_people_and_groups_that_are_not_there(
    slack: FakeSlack,
) -> None:
    slack.workspace.deleted.add("U0BEN")
    route = {"channel": ALERTS, "mention": "S0GONE"}
    ladder = [{"after_seconds": 900, "mention": "S0GONE"}]
    settings = alert_settings(
        slack,
        reviewers=["U0ADA", "U0NOBODY", "U0BEN", "S0SAFETY"],
        routes=[{"channel": ALERTS, "severities": ["critical"]}, route | {"ladder": ladder}],
    )
    found = {f.what: f for f in examine_slack(settings, slack.workspace.clock)}
    assert found["user U0ADA"].ok and found["user group S0SAFETY"].ok
    assert {what for what, f in found.items() if not f.ok} == {
        "user U0NOBODY",
        "user U0BEN",
        "user group S0GONE",
    }
    assert "no such user; correct alerts.reviewers[1]" in found["user U0NOBODY"].said
    assert "take it out of alerts.reviewers[2]" in found["user U0BEN"].said
    both = "correct alerts.routes[1].mention, alerts.routes[1].ladder[0].mention"
    assert both in found["user group S0GONE"].said
    slack.workspace.scopes = tuple(s for s in slack.workspace.scopes if s != "users:read")
    found = {f.what: f for f in examine_slack(settings, slack.workspace.clock)}
    assert "missing: users:read" in found["scopes"].said and not found["user U0ADA"].ok
    assert "users:read" in found["user U0ADA"].said and "no such" not in found["user U0ADA"].said


def test_the_doctor_says_that_a_token_is_wrong_and_shows_it_nowhere(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", "xoxb-wrong")
    result = run("doctor")
    assert result.exit_code == 2 and "invalid_auth" in result.stdout
    assert "xoxb-wrong" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    "error, helps",
    [
        (NotNowError("Slack asks to wait", 30.0), "wait as long"),
        (UnclearError("Slack did not answer"), "says nothing of the token"),
        (RefusedError("Slack says invalid_auth"), "copy its bot token"),
    ],
)
def test_the_remedy_fits_what_slack_said(error: ChannelError, helps: str) -> None:
    assert helps in _remedy(error)


def test_a_clock_that_is_off_is_found() -> None:
    with fake_slack(Workspace(Clock())) as slack:
        for off, ok in ((59.0, True), (61.0, False), (-61.0, False)):
            clock = Clock()
            clock.now += off
            [found] = [f for f in examine_slack(alert_settings(slack), clock) if f.what == "clock"]
            assert found.ok == ok, found


def test_certificates_that_are_not_there_are_found_and_hide_nothing_else(slack: FakeSlack) -> None:
    with Path("latentwatch.toml").open("a") as settings:
        settings.write(MAIL + 'ca_file = "gone.pem"\n')
    remedy = "maildown.ca_file: no certificates can be read from"
    for command in (["alerts", "serve"], ["alerts", "test", "--channel", "maildown"]):
        result = run(*command)
        assert result.exit_code == 2 and remedy in result.stderr, result.stderr
    Path("gone.pem").write_text("no certificate")
    result = run("doctor")
    assert result.exit_code == 2 and "ok      bot token" in result.stdout
    assert f"PROBLEM email maildown: alerts.destinations.{remedy}" in result.stdout


def test_what_nobody_expected_of_one_place_hides_no_other(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Path("latentwatch.toml").open("a") as settings:
        settings.write(MAIL)

    def fails(*_: object) -> str:
        raise KeyError("answer")

    monkeypatch.setattr(Email, "probe", fails)
    result = run("doctor")
    said = "PROBLEM email maildown: could not be looked at: KeyError"
    assert result.exit_code == 2 and said in result.stdout and "ok      bot token" in result.stdout
    monkeypatch.setattr("monitor.paging.slack_doctor._clock", fails)
    result = run("doctor")
    assert "PROBLEM Slack: could not be looked at" in result.stdout and said in result.stdout
