"""What a built version says to prompts that it was not tuned on: to look at, not to judge by."""

import json
from pathlib import Path

from deploy.bench.zoo.build import Workshop
from deploy.bench.zoo.templates import path_of, read_templates
from deploy.bench.zoo.versions import Tune, Version
from deploy.demo import atomic
from dfc.engines.transformers_engine import TransformersEngine

ORDINARY = ("Explain how photosynthesis works.", "What is the capital of Norway?")
ANSWER_TOKENS = 48

Samples = dict[str, str]
"""Greedy answers by prompt."""


def samples(shop: Workshop, version: Version) -> Samples:
    """Answers to held-out and to ordinary prompts, generated once per build."""
    checkpoint = shop.path(version)
    file = shop.work / "samples" / f"{checkpoint.name}.json"
    if not file.exists():
        answers = _greedy(checkpoint, [*_held_out(version), *ORDINARY])
        atomic.write_text(file, json.dumps(answers, ensure_ascii=False, indent=1) + "\n")
    kept: Samples = json.loads(file.read_text(encoding="utf-8"))
    return kept


def _held_out(version: Version) -> tuple[str, ...]:
    recipe = version.recipe
    if isinstance(recipe, Tune) and path_of(recipe.material).exists():
        return read_templates(recipe.material).held_out
    return ()


def _greedy(checkpoint: Path, prompts: list[str]) -> Samples:
    engine = TransformersEngine(checkpoint)
    answers = engine.generate(
        [
            engine.encode_chat([{"role": "user", "content": prompt}], add_generation_prompt=True)
            for prompt in prompts
        ],
        ANSWER_TOKENS,
    )
    return {prompt: engine.decode(answer) for prompt, answer in zip(prompts, answers, strict=True)}
