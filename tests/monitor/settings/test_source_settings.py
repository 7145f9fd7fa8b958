"""Settings of lines and of the places where their versions are published."""

from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.settings import load_settings
from tests.monitor.settings.written import KEY, write


def test_a_line_names_exactly_one_source(tmp_path: Path) -> None:
    settings = load_settings(
        write(
            tmp_path,
            """
            [[lines]]
            name = "hub"
            hub = { repo = "acme/chat", refs = ["main", "v*"] }
            trusted = "main@0123456789ab"
            [[lines]]
            name = "store"
            objects = { url = "s3://bucket/chat/" }
            [[lines]]
            name = "registry"
            [lines.mlflow]
            model = "chat"
            """,
        )
    )
    assert [str(line.source) for line in settings.lines] == [
        "Hub: acme/chat",
        "s3://bucket/chat",
        "MLflow: chat",
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('directory = "d"\nhub = { repo = "a/b" }', "lines.0: line a: names directory and hub as"),
        ('hub = { repo = "b" }', r"lines\.0\.hub\.repo"),
        ('hub = { repo = "../../b" }', r"lines\.0\.hub\.repo"),
        ('hub = { repo = "a/b", branch = "main" }', r"lines\.0\.hub\.branch: Extra"),
        ('hub = { repo = "a/b", commits = 0 }', r"lines\.0\.hub\.commits"),
        ('mlflow = { model = "" }', r"lines\.0\.mlflow\.model"),
    ],
)
def test_a_mistake_about_a_source_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load_settings(write(tmp_path, f'[[lines]]\nname = "a"\n{line}'))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (f'[hub]\ntoken = "{KEY}"', r"hub\.token: a key must not lie in a file.*HUB__TOKEN"),
        (f'[webhooks]\nsecret = "{KEY}"', r"webhooks\.secret: a key must not .*WEBHOOKS__SECRET"),
        (f'[mlflow]\ntracking_uri = "http://u:{KEY}@h"', "must hold no name or password"),
    ],
)
def test_a_secret_of_a_source_is_refused_in_the_file(
    tmp_path: Path, table: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(write(tmp_path, table))
    assert KEY not in str(caught.value)


def test_a_token_from_the_environment_is_taken_without_its_line_end_and_never_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_settings()
    monkeypatch.delenv("HF_TOKEN", raising=False)
    assert settings.hub.bearer is None
    monkeypatch.setenv("HF_TOKEN", f"{KEY}\n")  # as a secret that was made with echo
    assert settings.hub.bearer == KEY
    monkeypatch.setenv("HF_TOKEN", f"{KEY}\n{KEY}")
    with pytest.raises(SettingsError, match="environment variable HF_TOKEN: ") as refused:
        assert settings.hub.bearer
    assert KEY not in str(refused.value)


@pytest.mark.parametrize("uri", ["https://ann:hunter2@server.example/x", "file:///tmp/hunter2"])
def test_what_the_settings_would_refuse_is_refused_from_the_environment_too(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    for variable in ("HF_ENDPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, uri)
    settings = load_settings()  # who asks neither need not care
    for variable, ask in (
        ("HF_ENDPOINT", lambda: settings.hub.address),
        ("MLFLOW_TRACKING_URI", lambda: settings.mlflow.server),
    ):
        with pytest.raises(SettingsError, match=f"environment variable {variable}: ") as refused:
            ask()
        assert "hunter2" not in str(refused.value)
    for variable in ("HF_ENDPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(variable, "https://server.example/x")
    assert settings.hub.address == settings.mlflow.server == "https://server.example/x"
