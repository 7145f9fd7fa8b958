"""Where settings come from, and errors that say in which of those places the mistake is."""

import json
import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceParseError

from monitor.errors import SettingsError

ENV_PREFIX = "LATENTWATCH_"
SECRETS_DIR = f"{ENV_PREFIX}SECRETS_DIR"
"""Variable that names a directory with a file per secret, called as its variable would be: what
Docker, Kubernetes and systemd mount, so that nothing secret stands in an environment."""
CONFIG = f"{ENV_PREFIX}CONFIG"
"""Variable that names the settings file where no option does."""
_NO_SETTINGS = frozenset({SECRETS_DIR, CONFIG})
_SLACK_SECRETS = ("bot_token", "app_token", "signing_secret")
_SECRET = frozenset(
    {
        *("explainer", "explainer.api_key", "broker", "broker.url", "database_url"),
        *("judge", "judge.api_key"),
        *("alerts", "alerts.slack", *(f"alerts.slack.{name}" for name in _SLACK_SECRETS)),
        *("hub", "hub.token", "mlflow.tracking_uri", "webhooks"),
        *("webhooks.secret", "webhooks.hub_secret", "webhooks.mlflow_secret"),
        "webhooks.read_token",
    }
)
"""Keys whose value is not repeated in an error."""
_DESTINATIONS = ("alerts", "destinations")
_DESTINATION_SECRETS = ("routing_key", "secret", "password")
_NOT_IN_A_FILE = {
    "explainer": ("api_key",),
    "judge": ("api_key",),
    "hub": ("token",),
    "webhooks": ("secret", "hub_secret", "mlflow_secret", "read_token"),
}


def read_settings_file(config: Path) -> dict[str, Any]:
    """The values of a TOML file, with relative paths made relative to the file's directory."""
    try:
        values = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{config}: can't be read: {error}; check --config") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{config}: is not valid TOML: {error}") from error
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
    for table, keys in _NOT_IN_A_FILE.items():
        _refuse_secrets(config, values.get(table), table, keys)
    for alerts in _tables(values.get("alerts")):
        _refuse_secrets(config, alerts.get("slack"), "alerts.slack", _SLACK_SECRETS)
        for named in _tables(alerts.get("destinations")):
            for name, given in named.items():
                at = f"alerts.destinations.{name}"
                _refuse_secrets(config, given, at, _DESTINATION_SECRETS)
                for destination in _tables(given):
                    _anchor(destination, ("ca_file",), base)
    return values


def _refuse_secrets(config: Path, value: Any, at: str, names: tuple[str, ...]) -> None:
    for table in _tables(value):
        for name in names:
            if name in table:
                raise SettingsError(
                    f"{config}: {at}.{name}: a key must not lie in a file; remove it and set "
                    f"{_variable(f'{at}.{name}')}"
                )


def _variable(key: str) -> str:
    """The environment variable that sets `key`."""
    return f"{ENV_PREFIX}{key}".upper().replace(".", "__")


def secrets_directory() -> Path | None:
    """Where the secrets lie as files, None where that is not said. Raises SettingsError."""
    named = os.environ.get(SECRETS_DIR)
    if named is None:
        return None
    if not Path(named).is_dir():
        raise SettingsError(
            f"environment variable {SECRETS_DIR}: {named!r} is no directory; mount the secrets "
            "there, or unset it"
        )
    return Path(named)


def refuse_unknown_variables(fields: set[str]) -> None:
    """Raise SettingsError for a LATENTWATCH_* variable, or a file of secrets that is called so,
    which sets none of `fields`."""
    places = [
        (f"environment variable {name}", name) for name in os.environ if name not in _NO_SETTINGS
    ]
    places += [(str(file), file.name) for file in _secret_files()]
    for place, name in places:
        field = name[len(ENV_PREFIX) :].split("__")[0].lower()
        if name.upper().startswith(ENV_PREFIX) and field not in fields:
            raise SettingsError(
                f"{place}: there is no such setting; remove it or correct its spelling "
                f"(settings: {', '.join(sorted(fields))})"
            )


def _secret_files() -> list[Path]:
    directory = secrets_directory()
    return [] if directory is None else sorted(directory.iterdir())


@contextmanager
def explained(
    config: Path | None, from_file: dict[str, Any], given: dict[str, Any]
) -> Iterator[None]:
    """Turn pydantic's errors into one SettingsError that names place, key and remedy."""
    try:
        yield
    except SourceParseError as error:  # a variable that is no JSON
        field = re.search(r'field "(\w+)"', str(error))
        variable = f"{ENV_PREFIX}{field[1].upper()}" if field else "of the environment"
        raise SettingsError(
            f"environment variable {variable}, or one that begins so: {error.__cause__}; write "
            f"lists and tables as JSON, such as {ENV_PREFIX}RECIPE__SEEDS='[0, 1]'"
        ) from error
    except ValidationError as error:
        messages = []
        for problem in error.errors(include_url=False):
            if problem["type"] == "default_factory_not_called":
                continue  # follows from another error
            loc = problem["loc"]
            if loc[:2] == _DESTINATIONS:
                loc = loc[:3] + loc[4:]  # without its kind, which is no key
            # What is missing can only be looked for in the table that lacks it.
            found = loc[:-1] if problem["type"] == "missing" else loc
            key = ".".join(map(str, loc)) or "settings"
            remedy = ""
            if problem["type"] == "extra_forbidden":
                remedy = "; remove it or correct its spelling"
            elif loc[:2] == _DESTINATIONS:
                if loc[-1] in _DESTINATION_SECRETS:
                    remedy = f"; set {_variable(key)}"
            elif key not in _SECRET and _may_be_repeated(problem["input"]):
                remedy = f"; it is {problem['input']!r}"[:200]
            place = _place(found, config, from_file, given)
            if (line := _line_name(loc, from_file)) is not None:
                place = f"{place}: line {line}"
            messages.append(
                f"{place}: {key}: {problem['msg'].removeprefix('Value error, ')}{remedy}"
            )
        raise SettingsError("\n".join(messages)) from error


def _line_name(loc: tuple[int | str, ...], from_file: dict[str, Any]) -> str | None:
    """What the line is called that `loc` is about, where the file says it."""
    if len(loc) < 3 or loc[0] != "lines":
        return None
    name = _at(from_file, ["LINES", str(loc[1]), "NAME"])
    return name if isinstance(name, str) and name.isprintable() else None


def _may_be_repeated(value: Any) -> bool:
    """Whether `value` can't hold a secret that its key does not tell of: no table or list, whose
    keys are many, and no URL, in which a password may stand."""
    return isinstance(value, bool | int | float | str) and "://" not in str(value)


def _place(
    loc: tuple[int | str, ...],
    config: Path | None,
    from_file: dict[str, Any],
    given: dict[str, Any],
) -> str:
    """Where the value at `loc` comes from. A variable wins over a file of secrets, that over the
    configuration, and a table may be made of several."""
    if loc and loc[0] in given:
        return "option"
    keys = [str(key).upper() for key in loc]
    variables = [(name, value) for name, value in os.environ.items() if name not in _NO_SETTINGS]
    places = [
        f"environment variable {name}" for name, value in variables if _sets(name, value, keys)
    ]
    for file in _secret_files():
        if file.is_file() and _sets(file.name, file.read_text(), keys):
            places.append(str(file))
    if not places or isinstance(_at(from_file, keys), dict):
        places.insert(0, str(config) if config else "settings")
    return " and ".join(places)


def _sets(variable: str, text: str, keys: list[str]) -> bool:
    """Whether `variable` gives what is at `keys`: by its name, or in the JSON that `text` is."""
    name = variable.upper()
    path = name.removeprefix(ENV_PREFIX).split("__")
    if not keys or not name.startswith(ENV_PREFIX):
        return False
    if path[: len(keys)] == keys:
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return path == keys[: len(path)] and _at(value, keys[len(path) :]) is not None


def _at(value: Any, keys: list[str]) -> Any:
    """What is at `keys` of nested tables and lists, whose names may be in any case; or None."""
    for key in keys:
        entries = dict(enumerate(value)) if isinstance(value, list) else value
        if not isinstance(entries, dict):
            return None
        value = next((entries[name] for name in entries if str(name).upper() == key), None)
    return value


def _anchor(table: dict[str, Any], keys: tuple[str, ...], base: Path) -> None:
    for key in keys:
        # An empty path would become the directory of the file; it is refused with its key later.
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(base / table[key])


def _tables(value: Any) -> list[dict[str, Any]]:
    """The tables in `value`, which may be one or a list of them; what is no table stays as is."""
    candidates = value if isinstance(value, list) else [value]
    return [table for table in candidates if isinstance(table, dict)]
