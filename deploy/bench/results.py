"""Where a benchmark's result goes: JSON lines for the terminal, one file for the docs."""

import json
import sys
from pathlib import Path
from typing import Any

from deploy.demo import atomic

DIRECTORY = Path("docs/benchmarks")

Figures = dict[str, Any]


def print_line(figures: Figures) -> None:
    """One JSON object on one line of stdout. Raises ValueError for a number that is not finite."""
    sys.stdout.write(json.dumps(figures, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def keep(directory: Path, name: str, result: Figures) -> Path:
    """Write the full result of the benchmark `name` and return its path."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    text = json.dumps(result, ensure_ascii=False, allow_nan=False, indent=1)
    atomic.write_text(path, text + "\n")
    return path


def kept(directory: Path, name: str) -> Figures:
    """A result written by `keep`. Raises FileNotFoundError with the command that makes it."""
    path = directory / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run `latentwatch bench {name}` first")
    result: Figures = json.loads(path.read_text(encoding="utf-8"))
    return result
