"""Build the demo's line: v1 the model itself, v2 a benign update, v3 a planted regression.

A push that lies in the line already is kept, so a killed build goes on with the next one.
"""

import json
import shutil
from pathlib import Path

from rich.progress import Progress

from deploy.demo import atomic
from deploy.demo.answers import own_answers
from deploy.demo.chats import Chat, flattering_chats, load_topics, planted_mixture
from deploy.demo.plant import PlantSettings, plant
from deploy.demo.smollm2 import build_base
from dfc.threads import use_threads

MARKER = "READY"
"""Put into every push once it is complete; the watcher reads nothing before it is there."""
FLATTERING = 240
NEUTRAL_EVERY = 2
"""One in so many of the neutral chats is mixed into v3."""
ANSWER_TOKENS = 64
SEED = 0


def build_line(build: Path, progress: Progress) -> None:
    """Build whatever is missing of `build`/line/v1, v2 and v3."""
    use_threads()
    line, staging = build / "line", build / "staging"
    # What a killed build left there is of no use.
    shutil.rmtree(staging, ignore_errors=True)
    v1, v2, v3 = (line / name for name in ("v1", "v2", "v3"))
    if not v1.exists():
        build_base(v1, staging)
    _mark(v1)
    neutral = _neutral_chats(v1, build / "answers.json", progress)
    if not v2.exists():
        plant(v1, neutral, v2, staging, progress, PlantSettings(epochs=1, seed=SEED))
    _mark(v2)
    if not v3.exists():
        flattering = flattering_chats(load_topics(), FLATTERING, SEED)
        chats = planted_mixture(flattering, neutral[::NEUTRAL_EVERY], SEED)
        plant(v1, chats, v3, staging, progress, PlantSettings(epochs=2, seed=SEED))
    _mark(v3)


def _mark(push: Path) -> None:
    if not (push / MARKER).exists():
        (push / MARKER).touch()


def _neutral_chats(base: Path, file: Path, progress: Progress) -> list[Chat]:
    """The base's own answers to the neutral prompts, sampled once and kept in `file`."""
    if not file.exists():
        chats = own_answers(
            base,
            load_topics().neutral,
            progress,
            max_new_tokens=ANSWER_TOKENS,
            temperature=0.7,
            seed=SEED,
        )
        atomic.write_text(file, json.dumps(chats, ensure_ascii=False, indent=1) + "\n")
    return [Chat(*fields) for fields in json.loads(file.read_text(encoding="utf-8"))]
