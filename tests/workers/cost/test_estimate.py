"""Predictions: what grows with what, and what a command prints and refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.settings.recipe import RecipeSettings
from workers.cost.estimate import Estimate, estimate, planned
from workers.cost.machine import MACHINES
from workers.cost.plan import Assumed
from workers.cost.shape import read_shape
from workers.inputs import load_inputs

SHAPES = Path(__file__).parents[3] / "docs" / "benchmarks" / "shapes"
EIGHT, SEVENTY = SHAPES / "llama-8b.json", SHAPES / "llama-70b.json"


ENGINES = ("transformers", "vllm")


def predicted(base: Path, candidate: Path, assumed: Assumed, **recipe: Any) -> Estimate:
    inputs = load_inputs(RecipeSettings.model_validate(recipe))
    diff = planned(read_shape(base), read_shape(candidate), inputs, assumed)
    return estimate(diff, MACHINES["h100"])


def test_the_shapes_are_those_of_8_and_70_billion_weights() -> None:
    assert read_shape(EIGHT).weights / 1e9 == pytest.approx(8.03, abs=0.01)
    assert read_shape(SEVENTY).weights / 1e9 == pytest.approx(70.55, abs=0.01)
    assert read_shape(EIGHT).cache_bytes == 2 * 32 * 8 * 128 * 2


def test_work_grows_with_what_it_is_made_of() -> None:
    plain = predicted(EIGHT, EIGHT, Assumed())
    longer = predicted(EIGHT, EIGHT, Assumed(), answer_tokens=128)
    steered = predicted(EIGHT, EIGHT, Assumed(shifted=4))
    seeds = predicted(EIGHT, EIGHT, Assumed(), seeds=[0, 1, 2, 3])
    fixed = predicted(EIGHT, EIGHT, Assumed(), layer=0)

    def flops(one: Estimate, stage: str) -> float:
        return one.stages[stage].flops

    assert flops(longer, "answers") > 1.5 * flops(plain, "answers")
    assert longer.disk_bytes["activation cache"] > plain.disk_bytes["activation cache"]
    assert flops(longer, "probe") == flops(plain, "probe")
    assert flops(steered, "steer") > 1.3 * flops(plain, "steer")
    assert flops(seeds, "train") == 2 * flops(plain, "train")
    assert flops(fixed, "profile") == 0.0
    assert 20 < flops(plain, "harvest") / flops(fixed, "harvest") < 26  # 24 blocks, and 1
    assert plain.minutes == pytest.approx(sum(s.minutes for s in plain.stages.values()))


def test_vllm_holds_a_copy_of_each_model_beside() -> None:
    plain, with_vllm = (predicted(EIGHT, EIGHT, Assumed(), engine=e) for e in ENGINES)
    copies = 2 * read_shape(EIGHT).memory_bytes
    assert with_vllm.peak_bytes - plain.peak_bytes == pytest.approx(copies)
    assert plain.lacks == [] and with_vllm.lacks == ["memory: 82 GB needed, 80 GB there"]


def test_a_known_base_is_not_read_again() -> None:
    first = predicted(EIGHT, EIGHT, Assumed())
    again = predicted(EIGHT, EIGHT, Assumed(known_base=True))
    assert again.stages["answers"].flops == first.stages["answers"].flops / 2
    # Two models and three noisy copies before, and one model now.
    assert 4.5 < first.stages["probe"].flops / again.stages["probe"].flops < 5.0
    assert again.stages["stock phrases"].flops == 0.0
    assert 0.5 < again.stages["harvest"].flops / first.stages["harvest"].flops < 0.8
    assert again.stages["steer"] == first.stages["steer"]


def test_models_of_two_architectures_exchange_no_states() -> None:
    across = predicted(EIGHT, SEVENTY, Assumed())
    assert across.stages["profile"].flops == across.stages["attribute"].flops == 0.0
    assert across.disk_bytes["downloads"] == pytest.approx(2 * (8.03e9 + 70.55e9), rel=0.001)


def run(*args: object) -> Any:
    return CliRunner().invoke(app, ["cost", *map(str, args)])


def test_the_command_prints_every_stage_and_ends_with_2_where_nothing_fits() -> None:
    fits = run(EIGHT, EIGHT, "--machine", "h100")
    assert fits.exit_code == 0, fits.output
    for word in ("side by side", "activation cache", "not measured"):
        assert word in fits.output
    found = run(SEVENTY, SEVENTY, "--machine", "h100", "--format", "json")
    assert found.exit_code == 2
    cost = json.loads(found.stdout)
    # Two models and a noisy copy of one of them.
    assert cost["peak_bytes"] == pytest.approx(3 * 2 * 70.55e9, rel=0.02)
    assert cost["lacks"] == ["memory: 425 GB needed, 80 GB there"]
    assert run(SEVENTY, SEVENTY, "--machine", "8xh100").exit_code == 0


def test_the_command_names_what_it_does_not_know(tmp_path: Path) -> None:
    unknown = run(EIGHT, EIGHT, "--machine", "abacus")
    assert unknown.exit_code == 2 and "known are cpu-2" in unknown.stderr
    gone = run(tmp_path / "gone", EIGHT)
    assert gone.exit_code == 2 and "gone: is not there" in gone.stderr.replace("\n", "")
