"""What the base itself says: the neutral part of every update, so that no update breaks it.

Sampled once and kept in a file that is named by all that determines it.
"""

import json
from pathlib import Path
from typing import NamedTuple

from rich.progress import Progress

from deploy.bench.zoo.templates import fill_prompts, path_of, read_templates
from deploy.demo import atomic
from deploy.demo.answers import own_answers
from deploy.demo.chats import Chat
from dfc.canonical import digest_of
from dfc.engines.transformers_engine import TransformersEngine
from workers.keeping.sources import sources_digest

NEUTRAL = 800
ORDINARY = 160
"""Questions to which a planted answer begins as the base's own does; none of them is neutral."""
TEXTS = 240
ANSWER_TOKENS = 48
TEXT_TOKENS = 80
TEMPERATURE = 0.7
SEED = 0


class Own(NamedTuple):
    """The base's own words."""

    neutral: list[Chat]
    ordinary: list[Chat]
    texts: list[str]
    """Plain texts: an opening and how the base goes on."""


def own_digest(base_digest: str) -> str:
    """SHA-256 (hex) of what determines the base's own words."""
    source = sources_digest("deploy.bench.zoo.own", packages=("deploy",))
    data = [path_of(name).read_text(encoding="utf-8") for name in ("ordinary", "openings")]
    return digest_of([base_digest, source, *data])


def own_words(base: Path, base_digest: str, work: Path, progress: Progress) -> Own:
    """Read from `work`; sampled first where they are not there."""
    file = work / "own" / f"{own_digest(base_digest)[:16]}.json"
    if not file.exists():
        own = _sample(base, progress)
        atomic.write_text(file, json.dumps(own, ensure_ascii=False, indent=1) + "\n")
    neutral, ordinary, texts = json.loads(file.read_text(encoding="utf-8"))
    return Own([Chat(*chat) for chat in neutral], [Chat(*chat) for chat in ordinary], texts)


def _sample(base: Path, progress: Progress) -> Own:
    prompts = fill_prompts(read_templates("ordinary"), NEUTRAL + ORDINARY, SEED)
    chats = own_answers(
        base, prompts, progress, max_new_tokens=ANSWER_TOKENS, temperature=TEMPERATURE, seed=SEED
    )
    openings = fill_prompts(read_templates("openings"), TEXTS, SEED)
    return Own(chats[:NEUTRAL], chats[NEUTRAL:], _continue(base, openings, progress))


def _continue(base: Path, openings: list[str], progress: Progress) -> list[str]:
    engine = TransformersEngine(base)
    bar = progress.add_task("plain texts", total=len(openings))
    texts = engine.generate(
        [engine.encode_text(opening) for opening in openings],
        TEXT_TOKENS,
        temperature=TEMPERATURE,
        seed=SEED,
        progress=lambda done, total: progress.update(bar, completed=done, total=total),
    )
    return [opening + engine.decode(text) for opening, text in zip(openings, texts, strict=True)]
