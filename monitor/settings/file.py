"""The settings file: TOML without secrets, whose relative paths are relative to the file."""

import tomllib
from pathlib import Path
from typing import Any

from monitor.errors import SettingsError
from monitor.settings.environment import CONFIG, variable_of
from monitor.settings.secrets import DESTINATION_SECRETS, NOT_IN_A_FILE, SLACK_SECRETS


def read_settings_file(config: Path) -> dict[str, Any]:
    """The values of a TOML file, with relative paths made relative to the file's directory."""
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except OSError as error:
        remedy = f"check --config, or the environment variable {CONFIG}"
        raise SettingsError(f"{config}: can't be read: {error}; {remedy}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{config}: is not UTF-8: {error}; save it as UTF-8") from error
    except RecursionError as error:
        raise SettingsError(f"{config}: is nested too deeply; correct it there") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config}: is not valid TOML: {error}; correct it there") from error
    base = config.resolve().parent
    _anchor(values, ("data_dir", "store_dir"), base)
    for recipe in _tables(values.get("recipe")):
        _anchor(recipe, ("corpus", "prompts"), base)
        if isinstance(recipe.get("suites"), list):
            recipe["suites"] = [
                str(base / suite) if str(suite).endswith(".json") else suite
                for suite in recipe["suites"]
            ]
    for line in _tables(values.get("lines")):
        _anchor(line, ("directory",), base)
        for adapters in _tables(line.get("adapters")):
            _anchor(adapters, ("base",), base)
    for table, keys in NOT_IN_A_FILE.items():
        _refuse_secrets(config, values.get(table), table, keys)
    for alerts in _tables(values.get("alerts")):
        _refuse_secrets(config, alerts.get("slack"), "alerts.slack", SLACK_SECRETS)
        for named in _tables(alerts.get("destinations")):
            for name, given in named.items():
                at = f"alerts.destinations.{name}"
                _refuse_secrets(config, given, at, DESTINATION_SECRETS)
                for destination in _tables(given):
                    _anchor(destination, ("ca_file",), base)
    return values


def _refuse_secrets(config: Path, value: Any, at: str, names: tuple[str, ...]) -> None:
    for table in _tables(value):
        for name in names:
            if name in table:
                raise SettingsError(
                    f"{config}: {at}.{name}: a key must not lie in a file; remove it and set "
                    f"{variable_of(f'{at}.{name}')}"
                )


def _anchor(table: dict[str, Any], keys: tuple[str, ...], base: Path) -> None:
    for key in keys:
        # An empty path would become the directory of the file; it is refused with its key later.
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(base / table[key])


def _tables(value: Any) -> list[dict[str, Any]]:
    """The tables in `value`, which may be one or a list of them; what is no table stays as is."""
    candidates = value if isinstance(value, list) else [value]
    return [table for table in candidates if isinstance(table, dict)]
