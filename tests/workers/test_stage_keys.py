"""A stage's result lies under a key that names all it depends on, and nothing else."""

import re
from pathlib import Path

import pytest

from monitor.settings import RecipeSettings, Settings
from workers import sources
from workers.inputs import load_inputs
from workers.recipe import Recipe, code_version
from workers.sources import sources_digest
from workers.stage_keys import STAGES, stage_digest

ROOT = Path(__file__).parents[2]


def recipe(settings: RecipeSettings) -> Recipe:
    return load_inputs(settings).recipe


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({"suites": ["sycophancy"]}, {"probe", "steer", "side_by_side"}),
        ({"dfc": {"steps": 13}}, {"train", "screen", "describe", "steer", "side_by_side"}),
        ({"tokens": 601}, {"harvest", "train", "screen", "describe", "steer", "side_by_side"}),
        ({"answer_tokens": 7}, set(STAGES) - {"probe"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_change_of_the_recipe_reaches_the_stages_after_it_only(
    settings: Settings, change: dict[str, object], stale: set[str]
) -> None:
    before = recipe(settings.recipe)
    after = recipe(settings.recipe.model_copy(update=change))
    changed = {
        stage for stage in STAGES if stage_digest(stage, before) != stage_digest(stage, after)
    }
    assert changed == stale


def test_every_stage_names_the_fields_of_the_recipe_that_it_reads() -> None:
    reads = {"policy": r"inputs\.policy\b", "suites": r"inputs\.(?:suites|\w+_suites)\b"}
    reads |= {field: rf"recipe\.{field}\b" for field in Recipe.model_fields if field not in reads}
    reads["corpus"], reads["prompts"] = r"corpora\.texts\b", r"corpora\.prompts\b"
    for stage, inputs in STAGES.items():
        source = (ROOT / "workers" / "stages" / f"{stage}.py").read_text()
        allowed, left = set(inputs.recipe), list(inputs.after)
        while left:
            before = STAGES[left.pop()]
            allowed |= set(before.recipe)
            left += before.after
        used = {field for field, pattern in reads.items() if re.search(pattern, source)}
        assert used <= allowed, stage


def test_only_the_code_that_a_module_can_reach_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("from dfc import b\nfrom dfc.c import Thing\nimport torch\n")
    (tmp_path / "b.py").write_text("def f():\n    from dfc.d import later\n")
    for name in ("c", "d", "e"):
        (tmp_path / f"{name}.py").write_text(f"{name} = 1\n")
    monkeypatch.setattr(sources.resources, "files", lambda package: tmp_path)

    def digest(name: str = "dfc.a") -> str:
        sources_digest.cache_clear()
        sources._file.cache_clear()
        return sources_digest(name)

    first = digest()
    (tmp_path / "e.py").write_text("e = 2\n")
    assert digest() == first
    for name in ("b", "c", "d"):
        file = tmp_path / f"{name}.py"
        file.write_text(file.read_text() + "more = 2\n")
        assert digest() != first
        first = digest()
    with pytest.raises(ModuleNotFoundError, match=r"dfc\.f is not a module"):
        digest("dfc.f")
    monkeypatch.undo()
    sources_digest.cache_clear()
    sources._file.cache_clear()


def test_modules_that_carry_results_are_there_and_do_not_count() -> None:
    missing = [m for m in sources.CARRIERS if not (ROOT / f"{m.replace('.', '/')}.py").is_file()]
    assert missing == []
    closure = sources._closure(("workers.diff",))
    assert {"dfc.train", "alerts.policy", "workers.stages.steer"} <= set(closure)
    assert not set(closure) & sources.CARRIERS
    assert len(code_version()) == 64
