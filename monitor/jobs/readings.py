"""What a process that compares takes of its host, and since when, as a worker tells with every
heartbeat."""

import json
from typing import NamedTuple, Self


class Readings(NamedTuple):
    """Memory in bytes. That of the GPU is None where the process has none; what others use of it
    counts as used."""

    worker: str
    """Whose process it is."""
    memory: int
    gpu_memory_used: int | None = None
    gpu_memory: int | None = None
    began_at: float | None = None
    """When this try was begun, in seconds since the epoch."""
    moved_at: float | None = None
    """When it last began a stage or came further in one."""

    def to_json(self) -> str:
        return json.dumps(self)

    @classmethod
    def of_json(cls, text: str) -> Self:
        return cls(*json.loads(text))
