"""Training state on disk: safetensors and JSON in one directory that appears whole or not at
all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load_file, save_file
from torch import Tensor

from dfc.durable import flush


class Checkpoint(NamedTuple):
    """Tensors by name and a JSON-serialisable description of everything else."""

    tensors: dict[str, Tensor]
    meta: dict[str, Any]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write to a neighbouring directory, flush, then swap it in.

    A process killed at any moment leaves either the previous checkpoint or the new one. The old
    one is moved aside before the swap, because a directory cannot be replaced in a single
    rename; ``load_checkpoint`` finds it there if the process dies between the two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, old = path.with_name(path.name + ".new"), path.with_name(path.name + ".old")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    try:
        # Copies, because safetensors refuses tensors that share memory.
        copies = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
        save_file(copies, fresh / "state.safetensors")
        (fresh / "state.json").write_text(json.dumps(dict(meta), sort_keys=True))
        for file in fresh.iterdir():
            flush(file)
        flush(fresh)
    except OSError:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        path.rename(old)
    fresh.rename(path)
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(path: Path) -> Checkpoint | None:
    """The newest whole checkpoint at ``path``, or None when there is none."""
    for place in (path, path.with_name(path.name + ".old")):
        if (place / "state.json").exists():
            meta = json.loads((place / "state.json").read_text())
            return Checkpoint(load_file(place / "state.safetensors"), meta)
    return None
