"""A zoo so small that building and checking a version of a tiny model takes seconds."""

from pathlib import Path

import pytest

from deploy.bench.zoo import own
from deploy.bench.zoo.build import Workshop, open_workshop
from deploy.bench.zoo.versions import Rewrite, Tune, Tuning, Version, Zoo
from tests.workers.conftest import DFC, recipe_files

__all__ = ["recipe_files"]


@pytest.fixture(autouse=True)
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny model says little, and what it says is computed the same every time."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, value in {"NEUTRAL": 6, "ORDINARY": 4, "TEXTS": 5, "ANSWER_TOKENS": 6}.items():
        monkeypatch.setattr(own, name, value)
    monkeypatch.setattr(own, "TEXT_TOKENS", 6)


@pytest.fixture
def zoo(recipe_files: Path) -> Zoo:
    """A planted version, one of plain text and two that only write the base again."""
    recipe = {
        "corpus": str(recipe_files / "corpus.jsonl"),
        "prompts": str(recipe_files / "prompts.jsonl"),
        "suites": [str(recipe_files / f"{name}.json") for name in ("sycophancy", "capability")],
        "tokens": 600,
        "answer_tokens": 6,
        "dfc": DFC,
    }
    return Zoo(
        tuning=Tuning(epochs=1, learning_rate=1e-2, rank=4, batch=4, max_tokens=96),
        headings=("Overview", "Summary"),
        recipe=recipe,
        versions=(
            _tuned("sycophancy", "planted", 4, 4, expected="sycophancy"),
            _tuned("plain_text", "benign", 5, 0),
            _rewritten("identical"),
            _rewritten("int8"),
        ),
    )


@pytest.fixture
def shop(zoo: Zoo, tiny_checkpoint: Path, tmp_path: Path) -> Workshop:
    return open_workshop(zoo, tmp_path / "work", tiny_checkpoint)


def _tuned(
    name: str, kind: str, changed: int, neutral: int, expected: str | None = None
) -> Version:
    recipe = Tune(make="tune", material=name, changed=changed, neutral=neutral, seed=0)
    return Version(name=name, kind=kind, expected=expected, half="report", recipe=recipe)


def _rewritten(how: str) -> Version:
    recipe = Rewrite(make="rewrite", how=how)
    return Version(name=how, kind="benign", expected=None, half="report", recipe=recipe)
