"""The two trained language models, built once and found again by all that they depend on."""

import hashlib
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from deploy.bench.architectures.language_models import LLAMA, NEOX, Kind, train_model
from deploy.demo import atomic

Progress = Callable[[str, int, int], None]


class Built(NamedTuple):
    """A checkpoint and how well its model came to predict the language."""

    path: Path
    loss: float
    """Nats per token over the last tenth of the training."""
    reused: bool


def build(work: Path, tokens: int, progress: Progress) -> dict[str, Built]:
    """The base ("llama") and the candidate ("neox"), each trained on `tokens` tokens."""
    return {kind.name: _build(kind, work, tokens, progress) for kind in (LLAMA, NEOX)}


def _build(kind: Kind, work: Path, tokens: int, progress: Progress) -> Built:
    path = work / "models" / f"{kind.name}-{_digest(kind, tokens)[:16]}"
    record = path / "training.json"
    if record.exists():
        return Built(path, json.loads(record.read_text())["loss"], True)
    staging = work / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    with atomic.new_directory(path, staging) as directory:
        loss = train_model(
            kind,
            directory,
            tokens,
            lambda done, total: progress(kind.name, done, total),
        )
        (directory / record.name).write_text(json.dumps({"loss": loss, "tokens": tokens}))
    return Built(path, loss, False)


def _digest(kind: Kind, tokens: int) -> str:
    """Over the sources that make the language and the model, and the settings."""
    digest = hashlib.sha256(f"{kind.name} {tokens}".encode())
    for name in ("corpus.py", "language.json", "language_models.py"):
        digest.update((resources.files(__package__) / name).read_bytes())
    return digest.hexdigest()
