"""Edits are timed only where all ways to a score agree."""

import json
from pathlib import Path

import pytest

from deploy.bench.steer import command
from deploy.bench.steer.one_by_one import OneByOne
from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import ParityError
from tests.dfc.conftest import bank, engine, rows

__all__ = ["bank", "engine", "rows"]

pytestmark = pytest.mark.usefixtures("float32")


def test_one_by_one_is_the_engines_score(
    tiny_checkpoint: Path, engine: TransformersEngine, rows: list[ScoreRow], bank: FeatureBank
) -> None:
    plain = OneByOne(tiny_checkpoint)
    rows = [row for row in rows if len(row.prompt) > 1]
    for edit in (Edit(0, gain=-1.0), Edit(3, gain=2.0), Edit(4, offset=0.5)):
        found = [plain.score(row, bank, [edit]) for row in rows]
        expected = engine.score(rows, bank=bank, edits=[[edit]] * len(rows))
        assert found == pytest.approx(expected, abs=1e-5)
        assert found != pytest.approx(engine.score(rows), abs=1e-5)


def test_the_command_keeps_what_it_prints(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.run(command.SHORT, tiny_checkpoint, tmp_path)
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = json.loads((tmp_path / "steer.json").read_text(encoding="utf-8"))
    assert kept["summary"] == summary and len(kept["rounds"]) == summary["rounds"] == 2
    ratios = [one["ours"] / one["alone"] for one in kept["rounds"]]
    assert summary["ratio_one_by_one_range"] == [min(ratios), max(ratios)]
    assert summary["edits"] == 16 and summary["rows"] >= command.SHORT.items


def test_ways_that_do_not_agree_are_not_timed(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = OneByOne.score
    monkeypatch.setattr(OneByOne, "score", lambda *given: score(*given) + 0.01)
    with pytest.raises(ParityError, match=r"differ by 0\.0\d+ nats per token"):
        command.run(command.SHORT, tiny_checkpoint, None)
    assert capsys.readouterr().out == ""
