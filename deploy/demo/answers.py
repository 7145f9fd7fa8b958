"""A model's own answers to neutral prompts, the material of a benign update."""

from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress

from deploy.demo.chats import Chat
from dfc.engines.transformers_engine import TransformersEngine


def own_answers(
    checkpoint: Path,
    prompts: Sequence[str],
    progress: Progress,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> list[Chat]:
    """Sample one answer of at most `max_new_tokens` tokens per prompt."""
    engine = TransformersEngine(checkpoint)
    bar = progress.add_task("own answers", total=len(prompts))
    answers = engine.generate(
        [
            engine.encode_chat([{"role": "user", "content": prompt}], add_generation_prompt=True)
            for prompt in prompts
        ],
        max_new_tokens,
        temperature=temperature,
        seed=seed,
        progress=lambda done, total: progress.update(bar, completed=done, total=total),
    )
    return [
        Chat(prompt, engine.decode(answer).strip(), complete=len(answer) < max_new_tokens)
        for prompt, answer in zip(prompts, answers, strict=True)
    ]
