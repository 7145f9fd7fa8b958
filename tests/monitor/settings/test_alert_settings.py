"""Settings of alerts: routes, reviewers, Slack and other destinations, and their secrets."""

from pathlib import Path

import pytest

from alerts.probes.suite import bundled_suites
from alerts.routing import Route, Rung
from monitor.errors import SettingsError
from monitor.paging.route_doctor import examine_routes, without_ladder
from monitor.settings import load_settings
from monitor.settings.alerts import AlertSettings
from monitor.settings.recipe import RecipeSettings
from tests.monitor.settings.written import write

ROUTE = '[[alerts.routes]]\nchannel = "C0ALERTS"\n'


@pytest.mark.parametrize(
    "text, message",
    [
        (ROUTE + 'lines = ["chat"]\n', r"alerts\.routes: the last one must take what no other"),
        (ROUTE + 'severities = ["critical"]\n', r"alerts\.routes: the last one must take"),
        (
            '[[alerts.routes]]\nchannel = "C0B"\nlines = ["ghost"]\n' + ROUTE,
            r"alerts\.routes: number 1: no line is called 'ghost'; there are none; correct",
        ),
        (
            '[[alerts.routes]]\nchannel = "#alerts"\n',
            r"alerts\.routes\.0\.channel: must be the id of a channel.*Copy link.*'#alerts'",
        ),
        (
            ROUTE + 'mention = "@safety"\n',
            r"alerts\.routes\.0\.mention: must be the id of a user group",
        ),
        (ROUTE + "[alerts]\nquiet = 1\n", r"alerts\.quiet: Extra"),
        ('[alerts]\nexamples = "some"\n', r"alerts\.examples: .*'none', 'redacted' or 'full'"),
        ('[alerts.slack]\nlisten = "3000"\n', r"alerts\.slack\.listen: must be HOST:PORT"),
        ('[alerts.slack]\napp_token = "x"\n', r"must not lie in a file.*ALERTS__SLACK__APP_TOKEN"),
    ],
)
def test_unusable_alert_settings_are_refused_at_the_start(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, text))


@pytest.mark.parametrize(
    "text, message",
    [
        ('[alerts]\nreviewers = ["@ada"]\n', "alerts.reviewers.0: must be the id of a user (U"),
        ('[alerts]\noutages_to = ["#ops"]\n', "alerts.outages_to.0: must be the id of a channel"),
        (
            ROUTE + 'destinations = ["oncall"]\n',
            "alerts.routes: of the destinations none is called",
        ),
        ('[alerts]\nreport_url = "ftp://a"\n', "or 'https'; write it as https://HOST/PATH"),
        (
            '[alerts.destinations.mail]\nkind = "email"\nhost = "smtp"\nrecipients = ["a@b"]\n'
            'sender = "Lab"\n',
            "alerts.destinations.mail.sender: must be an address alone, such as latentwatch@lab",
        ),
        (
            '[[alerts.routes]]\nchannel = "C0B"\nbehaviours = ["sycofancy"]\n' + ROUTE,
            "alerts.routes: number 1: no suite has a behaviour 'sycofancy', so that the route "
            "would never be taken; there are sycophancy, sure_flips",
        ),
    ],
)
def test_a_mistake_about_alerts_is_told_once_with_its_place_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", "xoxb-secret")
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__APP_TOKEN", "xapp-secret")
    config = write(tmp_path, text if "routes" in text else text + ROUTE)
    with pytest.raises(SettingsError) as refused:
        load_settings(config)
    said = str(refused.value)
    assert said.startswith(f"{config}: alerts.") and message in said
    assert "\n" not in said and "_TOKEN" not in said


def test_a_behaviour_of_an_own_suite_may_be_named_and_of_one_that_can_not_be_read_nobody_knows(
    tmp_path: Path,
) -> None:
    route = '[[alerts.routes]]\nchannel = "C0B"\nbehaviours = ["flattery"]\n' + ROUTE
    config = write(tmp_path, '[recipe]\nsuites = ["own.json"]\n' + route)
    assert load_settings(config).alerts.routes[0].behaviours == ["flattery"]
    own = bundled_suites()["sycophancy"].model_copy(update={"behaviour": "flattery"})
    (tmp_path / "own.json").write_text(own.model_dump_json())
    assert load_settings(config).alerts.routes[0].behaviours == ["flattery"]
    config.write_text(config.read_text().replace("flattery", "flatery"))
    with pytest.raises(SettingsError, match=r"'flatery'.*there are flattery, sycophancy"):
        load_settings(config)


def test_a_route_of_critical_alerts_that_calls_nobody_else_is_told() -> None:
    rung = Rung(after_seconds=900.0, mention="S0SAFETY")
    routes = [
        Route(channel="C0A", severities=["warning"]),
        Route(channel="C0A", lines=["chat"], ladder=[rung]),
        Route(channel="C0A"),
    ]
    [found] = without_ladder(AlertSettings(routes=routes))
    assert found.ok and found.what == "route 3"
    assert "is repeated every 4 h" in found.said and "alerts.routes[2].ladder" in found.said


def test_secrets_of_slack_come_from_the_environment_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__SLACK__BOT_TOKEN", "xoxb-secret")
    with pytest.raises(SettingsError, match="there is a bot_token but no route") as refused:
        load_settings()
    settings = load_settings(write(tmp_path, ROUTE))
    assert settings.alerts.slack.bot_token is not None
    assert "xoxb-secret" not in f"{refused.value}{settings!r}{settings.model_dump_json()}"


DESTINATION = (
    '[[alerts.routes]]\ndestinations = ["oncall"]\n'
    '[alerts.destinations.oncall]\nkind = "pagerduty"\n'
)


@pytest.mark.parametrize(
    "text, message",
    [
        (ROUTE + 'destinations = ["oncall"]\n', r"none is called 'oncall'.*add \[alerts\.dest"),
        (DESTINATION + 'routing_key = "x"\n', r"oncall\.routing_key: a key must not lie in a file"),
        (DESTINATION + "colour = 1\n", r"alerts\.destinations\.oncall\.colour: Extra"),
        (
            ROUTE + 'quiet = [{ zone = "Berlin", start = "22:00", end = "07:00" }]\n',
            r"no time zone is called 'Berlin'",
        ),
        (
            ROUTE + 'destinations = ["On-Call"]\n',
            r"routes\.0\.destinations\.0: must be a name of small",
        ),
        (ROUTE + '[alerts]\noutages_to = ["hook"]\n', r"none is called 'hook'"),
        (ROUTE + "[alerts]\noutages_to = []\n", r"outages_to: is empty"),
        (
            ROUTE + '[alerts]\noutages_to = ["C0A", "C0B", "C0A"]\n',
            r"outages_to: 'C0A' stands there twice; name it once",
        ),
        (ROUTE + ROUTE, r"routes: number 1 takes everything"),
        (
            ROUTE + '[alerts]\nreviewers = ["U0ADA"]\ntwo_reviewers = true\n',
            r"two_reviewers: there is one reviewer",
        ),
    ],
)
def test_unusable_destinations_are_refused_at_the_start(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, text))


def test_a_secret_of_a_destination_that_is_not_described_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_ALERTS__DESTINATIONS__ONCAL__ROUTING_KEY", "s" * 32)
    with pytest.raises(
        SettingsError, match=r"oncal has no kind: describe it in \[alerts"
    ) as caught:
        load_settings(write(tmp_path, ROUTE))
    assert "s" * 32 not in str(caught.value)


def test_a_route_for_a_behaviour_that_no_suite_has_is_found() -> None:
    route = Route(channel="C0ALERTS", behaviours=["sycophancy", "syco*", "own_words", "flattery"])
    [found] = examine_routes(AlertSettings(routes=[route, Route(channel="C0A")]), RecipeSettings())
    assert found.what == "route 1" and "'flattery'" in found.said


def test_secrets_of_destinations_come_as_variables_or_files_and_are_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "LATENTWATCH_ALERTS__DESTINATIONS__ONCALL__ROUTING_KEY"
    config = write(tmp_path, DESTINATION)
    monkeypatch.setenv(variable, "hunter2")
    with pytest.raises(SettingsError, match="32 letters and digits") as caught:
        load_settings(config)
    assert "hunter2" not in str(caught.value)
    monkeypatch.delenv(variable)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / variable).write_text("A" * 32 + "\n")
    monkeypatch.setenv("LATENTWATCH_SECRETS_DIR", str(secrets))
    settings = load_settings(config)
    given = settings.alerts.destinations["oncall"]
    assert given.kind == "pagerduty" and given.routing_key is not None
    assert given.routing_key.get_secret_value() == "A" * 32
    assert "A" * 32 not in repr(settings)
