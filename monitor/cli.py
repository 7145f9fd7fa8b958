"""The command `latentwatch`. Its commands are thin: arguments in, one function called, its result
printed."""

from importlib import metadata
from typing import Annotated

import typer

from deploy.bench.cli import app as bench
from monitor.commands.alerts import alerts, doctor
from monitor.commands.check import calibrate, check, render, watch
from monitor.commands.console import write
from monitor.commands.cost import cost
from monitor.commands.probes import probes
from monitor.commands.service import cancel, exporter, healthy, reconcile, status, worker
from monitor.commands.versions import lines, quarantine, show_version, trust, versions

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(alerts, name="alerts")
app.add_typer(bench, name="bench")
app.add_typer(probes, name="probes")
for command in (check, cost, render, watch, calibrate, lines, versions, trust, quarantine):
    app.command()(command)
app.command(name="show")(show_version)
for serving in (worker, reconcile, status, healthy, exporter, cancel, doctor):
    app.command()(serving)


def _print_version(wanted: bool) -> None:
    if wanted:
        write(f"latentwatch {metadata.version('latentwatch')}")
        raise typer.Exit


@app.callback()
def latentwatch(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """A diff and a code review for model releases."""
