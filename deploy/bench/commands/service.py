"""Commands that measure the service: what it loses, and how soon it has told."""

from typing import Annotated

import typer

from deploy.bench.commands.options import Below, KeptAt
from deploy.bench.results import DIRECTORY
from monitor.commands.console import explained


@explained
def chaos(
    quick: Annotated[
        bool, typer.Option("--quick", help="A few schedules, as in the tests: a minute.")
    ] = False,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Kill, stop and cut off whatever can be, and see that nothing is lost or decided twice."""
    from deploy.bench.chaos.command import FULL, SHORT, run

    if not run(SHORT if quick else FULL, None if quick else out, work):
        raise typer.Exit(1)


@explained
def load(
    quick: Annotated[
        bool, typer.Option("--quick", help="Four versions instead of 500: to see that it works.")
    ] = False,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Push 500 versions over 20 lines within a minute and have four workers decide them all."""
    from deploy.bench.load.command import FULL, SHORT, run

    if not run(SHORT if quick else FULL, None if quick else out, work):
        raise typer.Exit(1)


@explained
def alerts(
    number: Annotated[int, typer.Option("--alerts", min=1, help="How many are raised.")] = 1000,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Raise many alerts at once, and see when they are in a Slack that fails, and that each is
    there once."""
    from deploy.bench.alerts.command import FULL, run

    if not run(FULL._replace(alerts=number), out, work):
        raise typer.Exit(1)


@explained
def scrape(
    lines: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Lines, six versions each; may be repeated. 10, 100, 1000."),
    ] = None,
    work: Below = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the exporter's answer to Prometheus over many lines, on SQLite and on PostgreSQL."""
    from deploy.bench.scrape.command import FULL, run

    if not run(FULL if lines is None else FULL._replace(lines=tuple(lines)), out, work):
        raise typer.Exit(1)
