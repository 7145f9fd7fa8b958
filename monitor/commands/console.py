"""Where the command line writes: results to standard output, everything else to standard error."""

import functools
import logging
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from alerts.json_file import InvalidFileError
from alerts.plain_text import strip_controls
from monitor.errors import CancelledError, LatentwatchError

BAD_INPUT, UNDECIDED, GIVEN_UP = 2, 3, 4
_WIDTH_OF_A_FILE = 160

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)


def report(sentence: str) -> None:
    """Tell the operator something that is no result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(strip_controls(sentence)))


def show(result: RenderableType) -> None:
    """Print a result for people; as wide as the terminal, and never cut in a file or pipe."""
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_FILE
    Console(highlight=False, width=width).print(result)


def write(result: str) -> None:
    """Print a result for programs, as it is."""
    sys.stdout.write(result if result.endswith("\n") else f"{result}\n")


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Make `command` end with a message and an exit code instead of a stack trace.

    What nobody expected counts as undecided: it must not look like a verdict.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except CancelledError as error:
            report(str(error))
            raise typer.Exit(GIVEN_UP) from error
        except (LatentwatchError, InvalidFileError) as error:
            report(f"error: {error}")
            raise typer.Exit(BAD_INPUT) from error
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            logger.exception("unexpected error")
            report(f"error: {type(error).__name__}: {error}; nothing was decided")
            raise typer.Exit(UNDECIDED) from error

    return wrapped
