"""`latentwatch bench`: every figure in docs/benchmarks.md is made by one of these commands."""

import signal
import sys

import typer

from deploy.bench.commands.method import alignment, architectures, compare, likeness, toy, zoo
from deploy.bench.commands.service import alerts, chaos, load, scrape
from deploy.bench.commands.speed import harvest, steer, train, whole_diff

app = typer.Typer(
    help="Measure how well the method works; each command prints JSON lines, the summary last.",
    no_args_is_help=True,
)
for found in (zoo, compare, likeness, toy, architectures, alignment):
    app.command(rich_help_panel="What the method finds")(found)
for borne in (chaos, load, alerts, scrape):
    app.command(rich_help_panel="What the service bears")(borne)
for timed in (train, harvest, steer):
    app.command(rich_help_panel="How long a check takes")(timed)
app.command(name="diff", rich_help_panel="How long a check takes")(whole_diff)


@app.callback()
def bench() -> None:
    """Commands import what they measure when they run: the others need neither torch nor peft."""
    # As Ctrl-C does: else the servers and processes that a benchmark has started would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
