"""Commands that time the parts of a check, and the whole."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.bench.commands.options import KeptAt, Measured
from deploy.bench.results import DIRECTORY
from monitor.commands.console import explained


@explained
def train(
    quick: Annotated[
        bool, typer.Option("--quick", help="One size, one toy: to see that it works.")
    ] = False,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the training of a crosscoder against a plain implementation and the hardware."""
    from deploy.bench.train.command import FULL, SHORT, run

    run(SHORT if quick else FULL, None if quick else out)


@explained
def harvest(
    quick: Annotated[
        bool, typer.Option("--quick", help="A random model, few texts: to see that it works.")
    ] = False,
    base: Measured = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time the reading of states against the blocks alone and a plain forward pass."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.harvest.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        run(SHORT if quick else FULL, path, None if quick else out)


@explained
def steer(
    quick: Annotated[
        bool, typer.Option("--quick", help="A random model, few items: to see that it works.")
    ] = False,
    base: Measured = None,
    out: KeptAt = DIRECTORY,
) -> None:
    """Time edits on the rows of a suite against one forward pass for every combination."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.steer.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        run(SHORT if quick else FULL, path, None if quick else out)


@explained
def whole_diff(
    quick: Annotated[
        bool, typer.Option("--quick", help="Random models, a short recipe: to see that it works.")
    ] = False,
    base: Measured = None,
    work: Annotated[
        Path, typer.Option(help="Where what was measured is kept until all is.")
    ] = Path("build/diff"),
    out: KeptAt = DIRECTORY,
    image: Annotated[Path, typer.Option(help="The plot of the full run.")] = Path(
        "docs/images/diff.svg"
    ),
) -> None:
    """Time a check from the push to the verdict, cold and with a known base, and how it grows."""
    from deploy.bench.checkpoint import measured_checkpoint
    from deploy.bench.diff.command import FULL, SHORT, run

    with measured_checkpoint(quick, base) as path:
        if quick:
            run(SHORT, path, out=None, image=None, work=None)
        else:
            run(FULL, path, out, image, work)
