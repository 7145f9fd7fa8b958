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


def kept_of(directory: Path, name: str, **made_by: str) -> Figures | None:
    """What is kept of `name` as made by `made_by`, in its place or aside; None without any."""
    for stem in (name, f"{name}-{_identity(made_by)}"):
        try:
            found = kept(directory, stem)
        except FileNotFoundError:
            continue
        if all(found.get(key) == value for key, value in made_by.items()):
            return found
    return None


def make_way(directory: Path, name: str, **made_by: str) -> None:
    """Set aside what something else than `made_by` has made of `name`, under a name by which it is
    found again: hours of work are not written over."""
    own = _identity(made_by)
    try:
        found = kept(directory, name)
    except FileNotFoundError:
        found = None
    if found is not None:
        other = _identity({key: found.get(key, "unknown") for key in made_by})
        if other == own:
            return
        _rename(directory, name, f"{name}-{other}")
    _rename(directory, f"{name}-{own}", name)


def _identity(made_by: Figures) -> str:
    return "-".join(str(value)[:12] for value in made_by.values())


def _rename(directory: Path, name: str, to: str) -> None:
    for path in directory.glob(f"{name}.*"):
        target = path.with_name(to + path.suffix)
        if target.exists():
            raise FileExistsError(f"{target} is there already; move it away, and run this again")
        path.rename(target)


def kept(directory: Path, name: str) -> Figures:
    """A result written by `keep`. Raises FileNotFoundError with the command that makes it."""
    path = directory / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; run `latentwatch bench {name}` first")
    result: Figures = json.loads(path.read_text(encoding="utf-8"))
    return result
