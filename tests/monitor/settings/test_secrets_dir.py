"""Secrets as files, as Docker, Kubernetes and systemd mount them."""

from pathlib import Path
from typing import Any

import pytest

from monitor.errors import SettingsError
from monitor.settings import load_settings


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "secrets"
    directory.mkdir()
    monkeypatch.setenv("LATENTWATCH_SECRETS_DIR", str(directory))
    return directory


def test_files_are_read_as_variables_are(secrets: Path) -> None:
    (secrets / "LATENTWATCH_DATABASE_URL").write_text("postgresql://ann:s3cret@db/latentwatch\n")
    (secrets / "LATENTWATCH_HUB__TOKEN").write_text("hf_abc\n")
    (secrets / "postgres_password").write_text("of somebody else")
    settings = load_settings()
    url = settings.database_url.get_secret_value()
    assert url == "postgresql://ann:s3cret@db/latentwatch"
    assert settings.hub.token is not None
    assert settings.hub.token.get_secret_value() == "hf_abc"


def test_a_volume_of_kubernetes_is_read(secrets: Path) -> None:
    # Every key is a link into a directory that is replaced as a whole when the secret changes.
    first = secrets / "..2026_11_28"
    first.mkdir()
    (first / "LATENTWATCH_HUB__TOKEN").write_text("hf_abc")
    (secrets / "..data").symlink_to(first)
    (secrets / "LATENTWATCH_HUB__TOKEN").symlink_to("..data/LATENTWATCH_HUB__TOKEN")
    token = load_settings().hub.token
    assert token is not None and token.get_secret_value() == "hf_abc"


def test_a_variable_wins_over_a_file_and_that_over_the_configuration(
    secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "latentwatch.toml"
    config.write_text('poll_seconds = 1\nmax_waiting = 1\nhub = {endpoint = "https://a.example"}')
    (secrets / "LATENTWATCH_POLL_SECONDS").write_text("2")
    (secrets / "LATENTWATCH_MAX_WAITING").write_text("2")
    (secrets / "LATENTWATCH_HUB__TOKEN").write_text("hf_abc")
    monkeypatch.setenv("LATENTWATCH_MAX_WAITING", "3")
    settings = load_settings(config)
    assert (settings.poll_seconds, settings.max_waiting) == (2, 3)
    # The table is made of both.
    assert str(settings.hub.endpoint).startswith("https://a.example") and settings.hub.token


def test_a_mistake_names_the_file_and_not_the_secret(secrets: Path) -> None:
    file = secrets / "LATENTWATCH_BROKER__URL"
    file.write_text("http://:s3cret@redis")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert f"{file}: broker.url: must begin with redis://" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_file_that_sets_nothing_is_refused(secrets: Path) -> None:
    (secrets / "LATENTWATCH_DATABSE_URL").write_text("x")
    with pytest.raises(SettingsError, match=r"LATENTWATCH_DATABSE_URL: there is no such setting"):
        load_settings()


def test_a_file_that_is_no_text_is_named(secrets: Path) -> None:
    (secrets / "LATENTWATCH_HUB__TOKEN").write_bytes(b"hf_\xff")
    with pytest.raises(SettingsError, match=r"LATENTWATCH_HUB__TOKEN: is not UTF-8"):
        load_settings()


def test_a_file_that_may_not_be_read_is_named(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = secrets / "LATENTWATCH_HUB__TOKEN"
    file.write_text("hf_abc")
    read_text = Path.read_text

    def closed(path: Path, *given: Any, **named: Any) -> str:  # root may read everything
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return read_text(path, *given, **named)

    monkeypatch.setattr(Path, "read_text", closed)
    with pytest.raises(SettingsError, match=r"HUB__TOKEN: can't be read: .*let the user"):
        load_settings()


def test_a_directory_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_SECRETS_DIR", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match=r"SECRETS_DIR: .*absent' is no directory"):
        load_settings()
