"""Whether a comparison can fit this host at all, told before its process begins.

Only what is certain counts, so these bounds lie far below what a comparison takes
(`workers.cost`): one that passes may still find too little room later, and says so then.
"""

import shutil
from math import prod
from pathlib import Path

import psutil

from dfc.corpus import Text
from monitor.checkpoints.checkpoint import CONFIG, Checkpoint, inspect_checkpoint
from monitor.checkpoints.listing import list_directory
from monitor.checkpoints.safetensors_header import FLOATS
from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import LatentwatchError
from monitor.settings import Settings
from workers.corpora import read_corpora
from workers.cost.plan import EFFORT
from workers.cost.shape import STATE_BYTES
from workers.cost.volume import position_bytes
from workers.inputs import load_inputs
from workers.job import Job
from workers.processes.process_limits import sees_a_gpu

_MAY_BE_TIED = "lm_head.weight"
"""Saved by some trainers although it is the embedding."""
_CHARACTERS_PER_TOKEN = 8
"""More than any tokenizer makes of ordinary text, on average."""
_GROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class RoomError(LatentwatchError):
    """A comparison can't fit this host."""


def refuse_what_cannot_fit(job: Job, settings: Settings) -> None:
    """Raises RoomError, with both figures and the remedy, where `job` certainly needs more memory
    or disk than this host has."""
    # What was downloaded are links to files elsewhere; they were judged when they were taken in.
    places = [side.path for side in (job.base, job.candidate)]
    sides = [inspect_checkpoint(path, list_directory(path, root=Path("/"))) for path in places]
    if not job.probe_only:  # else what the models said may be kept from other diffs
        _check_memory(sum(map(_loaded_bytes, sides)), settings.limits.memory_bytes)
        _check_disk(sides[1], settings)


def _loaded_bytes(checkpoint: Checkpoint) -> int:
    tensors = (tensor for file in checkpoint.weights for tensor in file.header.tensors)
    return sum(
        STATE_BYTES * prod(tensor.shape)
        for tensor in tensors
        if tensor.dtype in FLOATS and tensor.name != _MAY_BE_TIED
    )


def _check_memory(needed: int, limit: int | None) -> None:
    if sees_a_gpu():  # whose memory nobody knows here
        return
    there = memory_of_host()
    if needed > there:
        raise RoomError(
            f"memory: the weights of both models take {needed:,} bytes, and this host has "
            f"{there:,} with its swap; compare on a host with more memory"
        )
    if limit is not None and needed > limit:
        raise RoomError(
            f"memory: the weights of both models take {needed:,} bytes, and limits.memory_bytes "
            f"allows {limit:,}; raise it"
        )


def memory_of_host() -> int:
    """Bytes that processes here may have in all: of the machine, or of the container."""
    limits = [psutil.virtual_memory().total]
    for file in _GROUP_LIMITS:
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            limits.append(int(text))
    return min(limits) + psutil.swap_memory().total


def _check_disk(candidate: Checkpoint, settings: Settings) -> None:
    """The candidate's states on the corpus are kept in the cache, unless that is smaller."""
    width = read_json_object(candidate.path / CONFIG)["hidden_size"]
    needed = int(_least_positions(settings) * position_bytes(width))
    place = settings.data_dir / "activations"
    kept = sum(_bytes_of(entry) for entry in place.glob("*.safetensors"))
    there = shutil.disk_usage(_existing(place)).free + kept
    if there < needed <= settings.cache_bytes:
        raise RoomError(
            f"disk: the candidate's activations take {needed:,} bytes at least, and {place} can "
            f"have {there:,}; free some space, move data_dir, or lower recipe.tokens"
        )


def _bytes_of(entry: Path) -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # another comparison has dropped it
        return 0


def _least_positions(settings: Settings) -> float:
    inputs = load_inputs(settings.recipe)
    lengths = [
        len(one.text) if isinstance(one, Text) else sum(len(m["content"]) for m in one.messages)
        for one in read_corpora(inputs).texts
    ]
    tokens = sum(min(EFFORT.document_tokens, n // _CHARACTERS_PER_TOKEN) for n in lengths)
    return min(EFFORT.corpus_share * inputs.recipe.tokens, max(0, tokens - len(lengths)))


def _existing(path: Path) -> Path:
    return next(place for place in (path, *path.absolute().parents) if place.exists())
