"""Whole checks of made-up updates by the product's own command, with the seconds of each stage."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from dfc.perturbation import Noise, perturb
from monitor.settings import load_settings
from workers.check import check_pair
from workers.diff import DESCRIBE
from workers.progress import DiffProgress, terminal_progress

CHANGE = 0.02
"""Noise that makes an update, as a part of the weights' spread."""


class Check(NamedTuple):
    """One check."""

    seconds: float
    """From the call to the verdict, with the start of the process and the reading of files."""
    stages: dict[str, float]
    """Seconds of the stages that were computed."""
    verdict: str
    tokens: int
    """Positions on which the crosscoder was trained."""

    @property
    def outside(self) -> float:
        """Seconds in no stage: digests, start of the process, loading, what is written."""
        return self.seconds - sum(self.stages.values())


class Bench:
    """Checks updates of `base`, one after the other: each knows what those before it have kept."""

    def __init__(self, base: Path, directory: Path) -> None:
        self._base, self._directory = base, directory

    def update(self, seed: int) -> Path:
        """A checkpoint with other weights and the base's files."""
        path = self._directory / f"update-{seed}"
        shutil.copytree(self._base, path)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16)
        perturb(model, Noise(CHANGE, seed))
        for weights in path.glob("*.safetensors"):
            weights.unlink()
        model.save_pretrained(path)
        return path

    def check(self, candidate: Path, recipe: dict[str, Any]) -> Check:
        """Check `candidate` by `recipe`. Raises RuntimeError where a stage failed."""
        heard: dict[str, float] = {}
        settings = load_settings(data_dir=self._directory / "data", recipe=recipe)

        @contextmanager
        def heard_progress() -> Iterator[DiffProgress]:
            with terminal_progress() as shown:
                yield _Heard(shown, heard)

        begun = time.monotonic()
        verdict = check_pair(
            candidate, str(self._base), None, settings, None, heard_progress, lambda _: None
        )
        seconds = time.monotonic() - begun
        if heard and DESCRIBE not in heard:
            raise RuntimeError(f"{candidate.name}: ended early: {verdict.reasons[0]}")
        return Check(seconds, heard, verdict.verdict, verdict.recipe.tokens or 0)


class _Heard:
    """Passes on what it hears, and keeps the seconds of what was computed."""

    def __init__(self, shown: DiffProgress, heard: dict[str, float]) -> None:
        self._shown, self._heard = shown, heard

    def begin(self, stage: str) -> None:
        self._shown.begin(stage)

    def step(self, what: str, done: int, total: int) -> None:
        self._shown.step(what, done, total)

    def end(self, stage: str, seconds: float, reused: bool) -> None:
        self._shown.end(stage, seconds, reused)
        if not reused:
            self._heard[stage] = seconds
