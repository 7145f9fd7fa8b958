"""A check is timed as a user has it: the product's own command, stage by stage."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from alerts.verdict import Verdict, to_json
from deploy.bench.diff import checks, command
from deploy.bench.diff.checks import Check
from deploy.bench.diff.growth import Growth
from deploy.bench.diff.parts import Parts
from monitor.settings import Settings, load_settings
from workers.diff import run_diff
from workers.inputs import load_inputs
from workers.job import Job, side_of
from workers.keeping.store import LocalStore
from workers.progress import DiffProgress
from workers.recipe import recipe_digest


def test_growth_is_a_line_through_the_points() -> None:
    growth = Growth("train", [100, 200, 400], [2.0, 3.0, 5.0])
    constant, slope = growth.line
    assert (constant, slope) == pytest.approx((1.0, 0.01)) and growth.r2 == pytest.approx(1.0)
    scattered = Growth("train", [1, 2, 3, 4], [1.0, 0.0, 1.0, 0.0])
    assert scattered.r2 == pytest.approx(0.2)
    assert Growth("train", [1, 2], [1.0, 1.0]).r2 is None


@pytest.mark.parametrize("size", [command.FULL, command.SHORT])
def test_every_check_of_a_run_has_a_recipe_that_the_product_takes(size: command.Size) -> None:
    for recipe in (size.whole, *size.over_tokens, *size.over_latents):
        load_inputs(load_settings(recipe=recipe).recipe)
    assert size.over_tokens[-1] == size.over_latents[0]


def check_here(
    candidate: Path,
    baseline: str,
    line: str | None,
    settings: Settings,
    out: Path | None,
    progress: Callable[[], AbstractContextManager[DiffProgress]],
    report: Callable[[str], None],
) -> Verdict:
    """As the product's, but in this process: what begins with imports takes most of the time."""
    known = (
        settings.data_dir / f"{candidate.name}-{recipe_digest(load_inputs(settings.recipe).recipe)}"
    )
    if known.exists():
        return Verdict.model_validate_json(known.read_text())
    job = Job(line, side_of(Path(baseline)), side_of(candidate))
    with progress() as heard:
        verdict = run_diff(job, settings, LocalStore(settings.store_dir), heard).verdict
    known.write_text(to_json(verdict))
    return verdict


def test_the_second_check_reads_the_base_from_what_is_kept(
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checks, "check_pair", check_here)
    image = tmp_path / "diff.svg"
    command.run(command.SHORT, tiny_checkpoint, tmp_path, image, work=None)
    *told, summary = map(json.loads, capsys.readouterr().out.splitlines())
    kept = json.loads((tmp_path / "diff.json").read_text(encoding="utf-8"))
    assert kept["summary"] == summary
    cold, known, again, fewer, as_known, more = told
    assert cold["stages"].keys() == known["stages"].keys() >= {"answers", "train", "describe"}
    assert 0 < cold["outside"] < cold["seconds"] == summary["cold_seconds"]
    assert again["stages"] == {}
    # Another number of positions is harvested and trained on, and no model is asked again.
    assert "answers" not in as_known["stages"] and "harvest" in as_known["stages"]
    assert "harvest" not in more["stages"] and "train" in more["stages"]
    assert fewer["positions"] < known["positions"] == as_known["positions"] == more["positions"]
    assert known["latents"] == as_known["latents"] < more["latents"]
    assert "<svg" in image.read_text() and "positions" in image.read_text()


def test_a_part_that_was_measured_is_not_measured_again(
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked = list[str]()

    def check(bench: checks.Bench, candidate: Path, recipe: dict[str, Any]) -> Check:
        if len(checked) == 4:
            checked.append("stopped")
            raise KeyboardInterrupt
        checked.append(candidate.name)
        stages = {stage: 1.0 + len(checked) for stage in command.OVER_TOKENS}
        return Check(10.0, stages, "passed", recipe["tokens"])

    monkeypatch.setattr(checks.Bench, "check", check)
    asked = (command.SHORT, tiny_checkpoint, tmp_path, None, tmp_path / "work")
    with pytest.raises(KeyboardInterrupt):
        command.run(*asked)
    assert not (tmp_path / "diff.json").exists()
    command.run(*asked)
    whole, growth = ["update-1", "update-2", "update-2"], ["update-1"] * 3
    assert checked == [*whole, "update-1", "stopped", *growth]
    assert len(capsys.readouterr().out.splitlines()) == len(checked)
    # Nothing of a run that was done stands for the next.
    command.run(*asked)
    assert len(checked) == 8 + 6


def test_a_part_of_another_base_or_size_does_not_stand_for_one_of_this(
    tiny_checkpoint: Path, changed_checkpoint: Path, tmp_path: Path
) -> None:
    here, there, larger = (
        command._made_of(size, base)
        for size, base in (
            (command.SHORT, tiny_checkpoint),
            (command.SHORT, changed_checkpoint),
            (command.FULL, tiny_checkpoint),
        )
    )
    kept = Parts(tmp_path, here).part("whole", lambda: [Check(10.0, {}, "passed", 600)])
    again = Check(20.0, {}, "passed", 600)
    assert Parts(tmp_path, here).part("whole", lambda: [again]).checks == kept.checks
    for other in (there, larger):
        assert Parts(tmp_path, other).part("whole", lambda: [again]).checks == [again]
