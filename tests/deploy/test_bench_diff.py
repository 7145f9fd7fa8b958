"""A check is timed as a user has it: the product's own command, stage by stage."""

import json
from pathlib import Path

import pytest

from deploy.bench.diff import command
from deploy.bench.diff.growth import Growth


def test_growth_is_a_line_through_the_points() -> None:
    growth = Growth("train", [100, 200, 400], [2.0, 3.0, 5.0])
    constant, slope = growth.line
    assert (constant, slope) == pytest.approx((1.0, 0.01)) and growth.r2 == pytest.approx(1.0)
    scattered = Growth("train", [1, 2, 3, 4], [1.0, 0.0, 1.0, 0.0])
    assert scattered.r2 == pytest.approx(0.2)
    assert Growth("train", [1, 2], [1.0, 1.0]).r2 is None


def test_the_second_check_reads_the_base_from_what_is_kept(
    tiny_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    image = tmp_path / "diff.svg"
    command.run(command.SHORT, tiny_checkpoint, tmp_path, image)
    *checks, summary = map(json.loads, capsys.readouterr().out.splitlines())
    kept = json.loads((tmp_path / "diff.json").read_text(encoding="utf-8"))
    assert kept["summary"] == summary
    by_name = {check["check"]: check for check in checks}
    cold, known = by_name["cold"], by_name["base known"]
    assert cold["stages"].keys() == known["stages"].keys() >= {"answers", "train", "describe"}
    assert 0 < cold["outside"] < cold["seconds"] == summary["cold_seconds"]
    assert by_name["nothing new"]["stages"] == {}
    # Another number of positions is harvested and trained on, and no model is asked again.
    fewer, more = by_name["fewer tokens"], by_name["more latents"]
    assert "answers" not in fewer["stages"] and "harvest" in fewer["stages"]
    assert "harvest" not in more["stages"] and "train" in more["stages"]
    assert fewer["positions"] < known["positions"]
    assert "<svg" in image.read_text() and "positions" in image.read_text()
