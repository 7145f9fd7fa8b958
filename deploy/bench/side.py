"""A checkpoint in a directory as one side of a diff."""

from pathlib import Path

from monitor.checkpoints.checkpoint import inspect_checkpoint
from monitor.checkpoints.identity import identify
from workers.job import Side


def side_of(path: Path) -> Side:
    """Raises CheckpointRefusedError for a checkpoint that is not safe to load."""
    identity = identify(inspect_checkpoint(path))
    return Side(identity.content, identity.weights, path, str(path))
