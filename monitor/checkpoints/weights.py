"""Which safetensors files make up a checkpoint's weights, with their headers checked.

With an index, exactly the files that it names; any other shard is left over from an earlier save
and never read. Without one, `model.safetensors`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from monitor.checkpoints.safetensors_header import Header, read_header
from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import CheckpointRefusedError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
MAX_SHARDS = 10_000
MAX_TENSORS = 300_000
"""Over all shards. The largest models that are published, of hundreds of experts a layer, have less
than half of that."""

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
_TRAINING_STATE = ("optimizer", "scheduler", "scaler", "rng_state", "training_args")


class WeightFile(NamedTuple):
    """One file of the weights."""

    name: str
    header: Header


def refuse_unsafe_weights(names: set[str]) -> None:
    """Raise CheckpointRefusedError when the files called `names` hold weights in another format.

    Also beside safetensors: another loader might take them, so what was checked would not be what
    runs. The trainer's own state, which no loader of models opens, may lie there.
    """
    for name in sorted(name for name in names if "/" not in name):
        if name.lower().endswith(_PICKLES) and not name.startswith(_TRAINING_STATE):
            raise CheckpointRefusedError(
                f"{name}: only safetensors weights are read, because loading other formats can run "
                "code; save with safe_serialization=True and remove this file"
            )


def read_weight_files(path: Path, names: set[str]) -> tuple[WeightFile, ...]:
    """The weight files of the checkpoint at `path`, which holds the files `names`.

    Raises CheckpointRefusedError when a file or tensor is missing, double or truncated.
    """
    weight_map, shards = named_shards(path, names)
    files = tuple(_read(path, shards))
    found: dict[str, str] = {}
    for file in files:
        for tensor in file.header.tensors:
            if tensor.name in found:
                raise CheckpointRefusedError(
                    f"{file.name}: tensor {tensor.name[:80]!r} is also in {found[tensor.name]}"
                )
            found[tensor.name] = file.name
    for name, shard in weight_map.items():
        if found.get(name) != shard:
            raise CheckpointRefusedError(
                f"{shard}: {INDEX} puts tensor {name[:80]!r} there, but the shard lacks it"
            )
    if not found:
        raise CheckpointRefusedError(f"{shards[0]}: holds no tensors")
    return files


def _read(path: Path, shards: Sequence[str]) -> Iterator[WeightFile]:
    tensors = 0
    for shard in shards:
        file = WeightFile(shard, read_header(path / shard))
        tensors += len(file.header.tensors)
        if tensors > MAX_TENSORS:
            raise CheckpointRefusedError(
                f"{shard}: with this shard there are more than {MAX_TENSORS:,} tensors; no model "
                "has so many, and their description would fill the memory"
            )
        yield file


def named_shards(path: Path, names: set[str]) -> tuple[dict[str, str], list[str]]:
    """Which shard each tensor is in by the index, {} without one, and the shards' names.

    Reads no weights. Raises CheckpointRefusedError when a shard is not among `names`.
    """
    if SINGLE in names and INDEX in names:
        raise CheckpointRefusedError(
            f"{SINGLE} and {INDEX} are both there and loaders differ in which they take; remove one"
        )
    if INDEX in names:
        weight_map = _weight_map(path / INDEX)
        shards = sorted(set(weight_map.values()))
        for missing in (shard for shard in shards if shard not in names):
            raise CheckpointRefusedError(
                f"{missing}: {INDEX} names this shard, but it is not there; still being written, "
                "or incomplete"
            )
    elif SINGLE in names:
        weight_map, shards = {}, [SINGLE]
    else:
        raise CheckpointRefusedError(
            f"{SINGLE} is not there, and no {INDEX} either; still being written, or no checkpoint"
        )
    return weight_map, shards


def _weight_map(index: Path) -> dict[str, str]:
    weight_map = read_json_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointRefusedError(f"{index.name}: has no weight_map")
    for shard in weight_map.values():
        if not isinstance(shard, str) or "/" in shard or not shard.endswith(".safetensors"):
            raise CheckpointRefusedError(
                f"{index.name}: weight_map names {shard!r:.80}, which is no safetensors file "
                "of this directory"
            )
    if len(set(weight_map.values())) > MAX_SHARDS:
        raise CheckpointRefusedError(f"{index.name}: names more than {MAX_SHARDS:,} shards")
    return weight_map
