"""`python -m deploy.demo`: plant a regression in a real model and watch it being caught."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from transformers.utils import logging

from alerts.wording import duration
from deploy.demo.line import build_line
from deploy.demo.outcome import show, surprises
from deploy.demo.review import ReviewError, review
from deploy.demo.smollm2 import DownloadError
from deploy.demo.watching import WatchError, watch_line

BUILD = Path("build") / "demo"


def main() -> int:
    """Build, watch, show, answer. Exit code 0 as promised, 1 with other verdicts, 2 without any,
    130 after Ctrl-C before there were verdicts."""
    console = Console()
    logging.disable_progress_bar()
    begun = time.monotonic()
    try:
        console.rule("1. A line of three pushes: v1, v2 (benign), v3 (planted sycophancy)")
        with _progress(console) as progress:
            build_line(BUILD, progress)
        console.print(f"{BUILD / 'line'} is there ({duration(time.monotonic() - begun)})")
        console.rule("2. latentwatch watch --once")
        watched = watch_line(BUILD)
    except (DownloadError, WatchError) as error:
        console.print(str(error), style="red", markup=False)
        return 2
    except KeyboardInterrupt:
        console.print("Stopped. `make demo` goes on with what is done.")
        return 130
    console.rule("3. What a reviewer gets")
    show(console, watched.verdicts, watched.message, watched.report)
    console.print(f"The demo took {duration(time.monotonic() - begun)}")
    unexpected = surprises(watched.verdicts)
    for sentence in unexpected:
        console.print(sentence, style="red", markup=False)
    console.rule("4. Answer the alert")
    try:
        review(BUILD, lambda sentence: console.print(sentence, markup=False), _until_stopped())
    except ReviewError as error:
        console.print(str(error), style="red", markup=False)
        return 2
    return 1 if unexpected else 0


def _until_stopped() -> Callable[[], object] | None:
    """Waits for Ctrl-C where somebody is there to press it."""
    return Event().wait if sys.stdin.isatty() else None


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


if __name__ == "__main__":
    sys.exit(main())
