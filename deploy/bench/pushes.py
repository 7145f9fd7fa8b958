"""A watched directory, and what was pushed there."""

from pathlib import Path
from random import Random
from typing import ClassVar

from deploy.bench.made_up import write_checkpoint
from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify


class Pushes:
    """Made-up checkpoints, each complete once its marker is there."""

    MARKER: ClassVar[str] = "_SUCCESS"
    BASE: ClassVar[str] = "base"

    def __init__(self, directory: Path, first_seed: int = 0) -> None:
        self._directory = directory
        self._contents: dict[str, str] = {}
        self.replaced: set[str] = set()
        """Digests of what was overwritten."""
        self._weights = first_seed
        self.push(self.BASE)

    def push(self, name: str) -> str:
        """Publish a new version; its digest."""
        path = self._directory / name
        self._weights += 1
        (path / self.MARKER).unlink(missing_ok=True)
        write_checkpoint(path, self._weights)
        (path / self.MARKER).touch()
        if name in self._contents:
            self.replaced.add(self._contents[name])
        self._contents[name] = identify(inspect_checkpoint(path)).content
        return self._contents[name]

    def change(self, random: Random, prefix: str) -> bool:
        """Publish something else under a name with this prefix that was pushed before; False when
        there is none."""
        names = [name for name in self._contents if name.startswith(prefix)]
        if names:
            self.push(random.choice(names))
        return bool(names)

    def contents(self) -> set[str]:
        """Digests of what lies there now."""
        return set(self._contents.values())
