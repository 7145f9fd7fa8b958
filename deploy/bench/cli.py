"""`latentwatch bench`: every figure in docs/benchmarks.md is made by one of these commands."""

import typer

app = typer.Typer(
    help="Measure how well the method works; each command prints JSON lines, the summary last.",
    no_args_is_help=True,
)


@app.callback()
def bench() -> None:
    """Commands import what they measure when they run: the others need neither torch nor peft."""
