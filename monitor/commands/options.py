"""What the commands take on the command line, and how it reads in `--help`."""

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from monitor.errors import SettingsError
from monitor.settings import Settings, load_settings
from monitor.settings.environment import CONFIG

DEFAULT_CONFIG = Path("latentwatch.toml")
COPIES = 19
"""Noisy copies of a calibration, at which the least p-value reaches 0.05."""


class Format(StrEnum):
    """How a result is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    JUNIT = "junit"
    SARIF = "sarif"


def named_path(text: str) -> Path:
    """A path from the command line: an empty one, as of a variable that is not set, is none."""
    if not text:
        raise typer.BadParameter("must not be empty; the working directory is '.'")
    return Path(text)


def named_baseline(text: str) -> str:
    """A directory, or the word `trusted`."""
    named_path(text)
    return text  # as it stands there: ./trusted is a directory


def given_reason(text: str) -> str:
    """A reason that says something."""
    if not text.strip():
        raise typer.BadParameter("must say why: whoever comes after you reads it")
    return text


Candidate = Annotated[
    Path,
    typer.Argument(parser=named_path, help="Directory of the checkpoint to check."),
]
Baseline = Annotated[
    str,
    typer.Option(
        parser=named_baseline,
        metavar="DIRECTORY",
        help='What to compare it with; "trusted" is the trusted version of the line.',
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        parser=named_path,
        metavar="FILE",
        help=f"Settings file; {DEFAULT_CONFIG} here if there is one.",
    ),
]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def named_seconds(text: str) -> float:
    """A time such as 90s, 30m or 2h, in seconds."""
    found = re.fullmatch(r"(\d{1,6})([smh])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no time; write 90s, 30m or 2h")
    return float(found[1]) * _UNITS[found[2]]


Wait = Annotated[
    float | None,
    typer.Option(
        parser=named_seconds,
        metavar="TIME",
        help="Let the workers of the running service compare, and wait so long, such as 2h.",
    ),
]
Copies = Annotated[int, typer.Option(min=1, help="Noisy copies of it that are scored.")]
DataDir = Annotated[
    Path | None,
    typer.Option(parser=named_path, metavar="DIR", help="Where database, caches and results lie."),
]
LineName = Annotated[str, typer.Argument(metavar="LINE", help="Name of the line.")]
VersionName = Annotated[
    str, typer.Argument(metavar="VERSION", help="Name of the version, or the start of its digest.")
]
TextOrJson = Annotated[
    Literal["text", "json"], typer.Option("--format", help="How the result is printed.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        parser=named_path, metavar="DIR", help="Also write verdict, evidence and report here."
    ),
]
Reason = Annotated[
    str, typer.Option(parser=given_reason, metavar="TEXT", help="Why; kept in the audit log.")
]
OutputFormat = Annotated[Format, typer.Option("--format", help="How the result is printed.")]


def settings_of(config: Path | None, data_dir: Path | None) -> Settings:
    """The settings that a command runs with. Raises SettingsError."""
    if config is None and CONFIG in os.environ:
        if not os.environ[CONFIG]:
            raise SettingsError(
                f"environment variable {CONFIG}: is empty; name the settings file, or unset it"
            )
        config = Path(os.environ[CONFIG])
    if config is None and DEFAULT_CONFIG.exists():
        config = DEFAULT_CONFIG
    return load_settings(config, data_dir=data_dir)
