"""Errors about settings that say in which of their places the mistake is."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError as SourceParseError

from monitor.errors import SettingsError
from monitor.settings.environment import ENV_PREFIX, NO_SETTINGS, secret_files, variable_of
from monitor.settings.secrets import DESTINATION_SECRETS, SECRET

_DESTINATIONS = ("alerts", "destinations")
_NAMED = re.compile(r"((?:alerts\.)?(?:routes|two_reviewers|outages_to)): ")


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
    except RecursionError as error:  # which pydantic_settings lets through, without a name
        raise SettingsError(
            f"an environment variable {ENV_PREFIX}..., or a file of secrets, is nested too deeply; "
            f"write lists and tables as JSON, such as {ENV_PREFIX}RECIPE__SEEDS='[0, 1]'"
        ) from error
    except ValidationError as error:
        messages = []
        for problem in error.errors(include_url=False):
            if problem["type"] == "default_factory_not_called":
                continue  # follows from another error
            loc, said = problem["loc"], problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "value_error" and (named := _NAMED.match(said)):
                # What is wrong with several keys is an error of their table, and names the key.
                loc, said = (*loc, *named[1].split(".")), said[named.end() :]
            if loc[:2] == _DESTINATIONS:
                loc = loc[:3] + loc[4:]  # without its kind, which is no key
            # What is missing can only be looked for in the table that lacks it.
            found = loc[:-1] if problem["type"] == "missing" else loc
            key = ".".join(map(str, loc)) or "settings"
            remedy = ""
            if problem["type"] == "extra_forbidden":
                remedy = "; remove it or correct its spelling"
            elif problem["type"].startswith("url_"):
                remedy = "; write it as https://HOST/PATH"
            elif loc[:2] == _DESTINATIONS:
                if loc[-1] in DESTINATION_SECRETS:
                    remedy = f"; set {variable_of(key)}"
            elif key not in SECRET and _may_be_repeated(problem["input"]):
                remedy = f"; it is {problem['input']!r}"[:200]
            place = _place(found, config, from_file, given)
            if (line := _line_name(loc, from_file)) is not None:
                place = f"{place}: line {line}"
            messages.append(f"{place}: {key}: {said}{remedy}")
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
    variables = [(name, value) for name, value in os.environ.items() if name not in NO_SETTINGS]
    places = [
        f"environment variable {name}" for name, value in variables if _sets(name, value, keys)
    ]
    for file in secret_files():
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
    except (ValueError, RecursionError):
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
