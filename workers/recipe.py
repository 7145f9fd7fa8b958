"""The recipe: everything besides the two checkpoints that determines the result of a diff.

Free of torch: the control plane queues diffs by the recipe's digest.
"""

import hashlib
import json
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from dfc.config import DfcConfig, ScreenConfig

PRESENTATION = frozenset(
    f"alerts/{name}.py"
    for name in (
        "json_file",
        "markdown",
        "plain_text",
        "plots",
        "report",
        "slack_actions",
        "slack_message",
        "slack_sections",
        "slack_text",
        "svg",
        "templating",
    )
) | {f"workers/{name}.py" for name in ("check", "heartbeat", "local", "outcome", "progress")}
"""Modules that only show or carry results. One missing here means needless work, never a stale
result."""


class Recipe(BaseModel):
    """What a diff is made by. Inputs that are files stand here by their digests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    prompts: str
    suites: tuple[str, ...]
    policy: str
    layer: Literal["auto"] | int
    dfc: DfcConfig
    screen: ScreenConfig
    seeds: tuple[int, ...]
    tokens: int
    """Positions on which the crosscoder is trained, at most."""
    max_prompts: int
    """Prompts that both models answer, from the first on, at most."""
    answer_tokens: int
    """Length of the models' own answers, at most."""
    code: str
    """Of `code_version`."""


def recipe_digest(recipe: Recipe) -> str:
    """SHA-256 (hex) of the recipe in canonical JSON."""
    return digest_of(recipe.model_dump(mode="json"))


def digest_of(value: object) -> str:
    """SHA-256 (hex) of `value` in canonical JSON."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


@cache
def code_version() -> str:
    """SHA-256 (hex) of the sources on which a figure can depend: a result of other code is never
    taken for one of this code.

    Taken once per process: files that are replaced later are not what this process runs.
    """
    digest = hashlib.sha256()
    for package in ("alerts", "dfc", "workers"):
        for name, file in sorted(_sources(resources.files(package), package)):
            if name not in PRESENTATION:
                digest.update(f"{name}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _sources(folder: Traversable, name: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _sources(entry, f"{name}/{entry.name}")
        elif entry.name.endswith(".py"):
            found.append((f"{name}/{entry.name}", entry))
    return found
