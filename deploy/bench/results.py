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


def set_aside(directory: Path, name: str, **made_by: str) -> None:
    """Rename what is kept of `name`, if it was made by something else than `made_by`: hours of work
    are not written over. Its new name ends with the first value that differs."""
    try:
        found = kept(directory, name)
    except FileNotFoundError:
        return
    other = [str(found[key]) for key, value in made_by.items() if found.get(key, value) != value]
    for digest in other[:1]:
        for path in directory.glob(f"{name}.*"):
            path.rename(path.with_stem(f"{name}-{digest[:12]}"))


def kept(directory: Path, name: str) -> Figures:
    """A result written by `keep`. Raises FileNotFoundError with the command that makes it."""
    path = directory / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run `latentwatch bench {name}` first")
    result: Figures = json.loads(path.read_text(encoding="utf-8"))
    return result
