"""The environment as a place of settings: its variables, and secrets that lie as files."""

import os
from pathlib import Path

from monitor.errors import SettingsError

ENV_PREFIX = "LATENTWATCH_"
SECRETS_DIR = f"{ENV_PREFIX}SECRETS_DIR"
"""Variable that names a directory with a file per secret, called as its variable would be: what
Docker, Kubernetes and systemd mount, so that nothing secret stands in an environment."""
CONFIG = f"{ENV_PREFIX}CONFIG"
"""Variable that names the settings file where no option does."""
NO_SETTINGS = frozenset({SECRETS_DIR, CONFIG})

_LET_IT_READ = "let the user as whom this runs read it"


def variable_of(key: str) -> str:
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
        (f"environment variable {name}", name) for name in os.environ if name not in NO_SETTINGS
    ]
    places += [(str(file), file.name) for file in secret_files()]
    for place, name in places:
        field = name[len(ENV_PREFIX) :].split("__")[0].lower()
        if name.upper().startswith(ENV_PREFIX) and field not in fields:
            raise SettingsError(
                f"{place}: there is no such setting; remove it or correct its spelling "
                f"(settings: {', '.join(sorted(fields))})"
            )


def secret_files() -> list[Path]:
    """The files of secrets; none where no directory is named. Raises SettingsError."""
    directory = secrets_directory()
    try:
        return [] if directory is None else sorted(directory.iterdir())
    except OSError as error:
        raise SettingsError(f"{directory}: can't be read: {error}; {_LET_IT_READ}") from error


def refuse_unreadable_secrets() -> None:
    """Raise SettingsError for a file of secrets of ours that is not text that may be read."""
    for file in secret_files():
        if file.name.upper().startswith(ENV_PREFIX) and file.is_file():
            try:
                file.read_text("utf-8")
            except OSError as error:
                raise SettingsError(f"{file}: can't be read: {error}; {_LET_IT_READ}") from error
            except UnicodeDecodeError as error:
                raise SettingsError(f"{file}: is not UTF-8: {error}; write it anew") from error
