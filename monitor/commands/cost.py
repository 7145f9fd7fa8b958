"""The command `cost`: what a comparison will take, before it begins."""

from pathlib import Path
from typing import Annotated

import typer

from monitor.commands.console import BAD_INPUT, explained, show, write
from monitor.commands.options import Config, DataDir, TextOrJson, named_path, settings_of
from monitor.errors import SettingsError

_SHAPE = "Directory of a checkpoint, or its config.json alone."


@explained
def cost(
    base: Annotated[Path, typer.Argument(parser=named_path, help=_SHAPE)],
    candidate: Annotated[Path, typer.Argument(parser=named_path, help=_SHAPE)],
    machine: Annotated[str, typer.Option(help="What it would run on (docs/scale.md).")] = "cpu-2",
    shifted: Annotated[int, typer.Option(min=0, help="Behaviours taken to be flagged.")] = 2,
    known_base: Annotated[
        bool, typer.Option("--known-base", help="An earlier comparison has read the base.")
    ] = False,
    format_: TextOrJson = "text",
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Predict time, memory and disk of a comparison from two config.json files.

    Exits with 2 when the machine has too little memory or disk for it.
    """
    from monitor.terminal.cost import cost_view
    from workers.cost.estimate import estimate, planned
    from workers.cost.machine import MACHINES
    from workers.cost.plan import Assumed
    from workers.cost.shape import read_shape
    from workers.inputs import load_inputs

    if machine not in MACHINES:
        raise SettingsError(f"--machine {machine}: not known; known are {', '.join(MACHINES)}")
    inputs = load_inputs(settings_of(config, data_dir).recipe)
    assumed = Assumed(shifted=shifted, known_base=known_base)
    diff = planned(read_shape(base), read_shape(candidate), inputs, assumed)
    found = estimate(diff, MACHINES[machine])
    if format_ == "json":
        write(found.model_dump_json(indent=2))
    else:
        show(cost_view(found))
    if found.lacks:
        raise typer.Exit(BAD_INPUT)
