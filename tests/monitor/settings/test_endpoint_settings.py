"""Settings of models behind endpoints, whose keys are shown nowhere."""

from pathlib import Path

import pytest

from monitor.errors import SettingsError
from monitor.settings import load_settings
from tests.monitor.settings.written import KEY, write


def test_a_key_comes_from_the_environment_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_EXPLAINER__API_KEY", KEY)
    table = '[explainer]\nbase_url = "http://localhost:8000/v1"\nmodel = "m"'
    settings = load_settings(write(tmp_path, table))
    key = settings.explainer.api_key
    assert key is not None and key.get_secret_value() == KEY
    assert KEY not in repr(settings) and settings.explainer.max_features == 5


def test_nobody_is_asked_by_default() -> None:
    assert load_settings().explainer.base_url is None
    assert load_settings().judge.endpoint() is None


def test_the_judge_is_set_like_the_explainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTWATCH_JUDGE__API_KEY", KEY)
    table = '[judge]\nbase_url = "http://localhost:8000/v1"\nmodel = "m"'
    endpoint = load_settings(write(tmp_path, table)).judge.endpoint()
    assert endpoint is not None
    assert (endpoint.model, endpoint.api_key) == ("m", KEY)
    with pytest.raises(
        SettingsError, match=r"judge\.api_key: a key must not lie in a file"
    ) as caught:
        load_settings(write(tmp_path, f'[judge]\napi_key = "{KEY}"'))
    with pytest.raises(SettingsError, match="set LATENTWATCH_JUDGE__API_KEY"):
        load_settings(write(tmp_path, '[judge]\nbase_url = "http://u:p@h/v1"\nmodel = "m"'))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (f'api_key = "{KEY}"', r"explainer\.api_key: a key must not lie in a file.*EXPLAINER__API"),
        ('base_url = "http://h/v1"', "base_url and model belong together"),
        (f'base_url = "http://u:{KEY}@h/v1"\nmodel = "m"', "must hold no name or password"),
        ('base_url = "ftp://h"\nmodel = "m"', r"explainer\.base_url: URL scheme should be"),
        ("max_features = 0", r"explainer\.max_features: .*it is 0"),
    ],
)
def test_a_mistake_about_the_explainer_is_named(tmp_path: Path, table: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(write(tmp_path, f"[explainer]\n{table}"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LATENTWATCH_EXPLAINER__API_KEY", f"{KEY} "),
        ("LATENTWATCH_EXPLAINER__API_KEY", f"{KEY}\n"),
        ("LATENTWATCH_EXPLAINER", f'"{KEY}"'),
    ],
)
def test_a_bad_key_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match="explainer") as caught:
        load_settings()
    assert KEY not in str(caught.value)
