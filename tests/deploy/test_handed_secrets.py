"""Every process gets the secrets that it uses and no other, in every deployment."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from monitor.settings import Settings, load_settings
from tests.deploy.deployed import (
    DEPLOY,
    UNITS,
    Pod,
    containers,
    credentials,
    directives,
    pods,
    unit,
)

DATABASE, BROKER = "LATENTWATCH_DATABASE_URL", "LATENTWATCH_BROKER__URL"
SLACK = {f"LATENTWATCH_ALERTS__SLACK__{name}_TOKEN" for name in ("BOT", "APP")}
API = {f"LATENTWATCH_WEBHOOKS__{name}" for name in ("SECRET", "READ_TOKEN")}
USED = {
    "watch": {DATABASE, BROKER} | API,  # with a broker it leaves the comparing to workers
    "reconcile": {DATABASE, BROKER},
    "alerts": {DATABASE} | SLACK,
    "exporter": {DATABASE, BROKER},
    "worker": {DATABASE, BROKER},
}
OWN = {"watch": {"latentwatch-watch": False}, "alerts": {"latentwatch-alerts": False}}
OWN["worker"] = {"latentwatch-worker": True}
"""Secrets of Kubernetes beside the common one, and whether the pod starts without them."""
OTHERS = {
    "postgres": {"postgres_password"},
    "grafana": {"grafana_password"},
    "worker-cpu": USED["worker"],
    "worker-gpu": USED["worker"],
}


@pytest.mark.parametrize("name", containers())
def test_compose_hands_out_what_is_used(name: str) -> None:
    service = containers()[name]
    expected = (USED | OTHERS).get(service["name"], set())
    assert set(service.get("secrets", [])) == expected


@pytest.mark.parametrize("pod", pods().values(), ids=pods().keys())
def test_kubernetes_hands_out_what_is_used(pod: Pod) -> None:
    (volume,) = [one for one in pod.spec["volumes"] if one["name"] == "secrets"]
    common, *own = [source["secret"] for source in volume["projected"]["sources"]]
    assert common["name"] == "latentwatch" and "optional" not in common
    assert {one["key"] for one in common["items"]} == USED[pod.name] & {DATABASE, BROKER}
    assert all(one["key"] == one["path"] for one in common["items"])
    assert {one["name"]: one.get("optional", False) for one in own} == OWN.get(pod.name, {})
    used = {source["secret"]["name"] for source in volume["projected"]["sources"]}
    assert not [one for one in pod.container["env"] if "valueFrom" in one] and len(used) <= 2


@pytest.mark.parametrize("name", UNITS)
def test_systemd_hands_out_what_is_used_and_settings_are_read_from_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "secrets"
    subprocess.run([DEPLOY / "compose/secrets.sh", made], check=True)
    handed = credentials(unit(name))
    assert handed == {one: f"/etc/latentwatch/secrets/{one}" for one in USED[name]}
    laid_out = tmp_path / "handed"  # as systemd.exec(5) says: every file is called as its id
    laid_out.mkdir()
    for credential in handed:
        (laid_out / credential).write_text((made / credential).read_text())
    monkeypatch.setenv("LATENTWATCH_SECRETS_DIR", str(laid_out))
    assert "Environment=LATENTWATCH_SECRETS_DIR=%d" in unit(name)
    settings = load_settings(DEPLOY / "kubernetes/base/latentwatch.toml")
    assert given(settings) == USED[name]


def test_those_that_are_random_are_made_alone(tmp_path: Path) -> None:
    subprocess.run([DEPLOY / "compose/secrets.sh", "--random", tmp_path], check=True)
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert made.keys() == {"LATENTWATCH_WEBHOOKS__SECRET", "LATENTWATCH_WEBHOOKS__READ_TOKEN"}
    assert {len(secret) for secret in made.values()} == {48} and len(set(made.values())) == 2


def given(settings: Settings) -> set[str]:
    """Which of the secrets are set."""
    slack, webhooks = settings.alerts.slack, settings.webhooks
    values: dict[str, Any] = {
        BROKER: settings.broker.url,
        "LATENTWATCH_ALERTS__SLACK__BOT_TOKEN": slack.bot_token,
        "LATENTWATCH_ALERTS__SLACK__APP_TOKEN": slack.app_token,
        "LATENTWATCH_WEBHOOKS__SECRET": webhooks.secret,
        "LATENTWATCH_WEBHOOKS__READ_TOKEN": webhooks.read_token,
    }
    found = {name for name, value in values.items() if value is not None}
    return found | {DATABASE} if "postgres" in settings.database_url.get_secret_value() else found


def test_the_watch_of_every_deployment_serves_and_nobody_else_does() -> None:
    for name, service in containers().items():
        asks = "LATENTWATCH_WEBHOOKS__HOST" in service.get("environment", {})
        assert asks == (name == "compose: watch")
    for name in UNITS:
        assert ("LATENTWATCH_WEBHOOKS__HOST=127.0.0.1" in unit(name)) == (name == "watch")
    for pod in pods().values():
        names = {one["name"] for one in pod.container["env"]}
        assert ("LATENTWATCH_WEBHOOKS__HOST" in names) == (pod.name == "watch")


def test_the_alerts_of_systemd_run_their_own_command() -> None:
    assert directives(unit("alerts"))["ExecStart"].endswith("latentwatch alerts serve")
