"""What a diff tells while it is worked on, and showing it on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from alerts.plain_text import strip_controls
from alerts.wording import duration


class DiffProgress(Protocol):
    """Hears of the stages of one diff."""

    def begin(self, stage: str) -> None:
        """A stage begins."""
        ...

    def step(self, what: str, done: int, total: int) -> None:
        """Within the stage, `done` of `total` units of `what` are done."""
        ...

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        """The stage is done; it took `seconds`, at an earlier time when it is reused."""
        ...


class TerminalProgress:
    """One line per stage with its time, and bars for what the running stage does.

    Names come from the process that opens untrusted checkpoints, and are shown as plain text.
    Where the console is no terminal, only the lines of the finished stages are printed.
    """

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._stage: TaskID | None = None
        self._steps: dict[str, TaskID] = {}

    def begin(self, stage: str) -> None:
        self._stage = self._bars.add_task(f"[bold]{_plain(stage)}", total=None)

    def step(self, what: str, done: int, total: int) -> None:
        if what not in self._steps:
            self._steps[what] = self._bars.add_task(f"  {_plain(what)}", total=total)
        self._bars.update(self._steps[what], completed=done, total=total)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        for task in [self._stage, *self._steps.values()]:
            if task is not None:
                self._bars.remove_task(task)
        self._stage, self._steps = None, {}
        note = " (done before)" if reused else ""
        self._bars.console.print(
            f"[green]✓[/green] {_plain(f'{stage:<12}')} {duration(seconds)}{note}"
        )


def _plain(name: str) -> str:
    return escape(strip_controls(name))


@contextmanager
def terminal_progress(console: Console | None = None) -> Iterator[TerminalProgress]:
    """Progress on `console`, by default standard error; the bars are gone when the block ends."""
    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console or Console(stderr=True),
        transient=True,
    )
    with bars:
        yield TerminalProgress(bars)
