"""What a process that compares takes of its host, as a worker tells with every heartbeat."""

import json
from typing import NamedTuple, Self


class Readings(NamedTuple):
    """In bytes. Those of the GPU are None where the process has none; what others use of it counts
    as used."""

    worker: str
    """Whose process it is."""
    memory: int
    gpu_memory_used: int | None = None
    gpu_memory: int | None = None

    def to_json(self) -> str:
        return json.dumps(self)

    @classmethod
    def of_json(cls, text: str) -> Self:
        return cls(*json.loads(text))
