"""All ways to the states read the same documents, and the command holds them against each other."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.bench.harvest import command
from deploy.bench.harvest.speed import Rivals, Speed, rivals, speed
from dfc.engines.decoder_stack import DecoderStack

DOCUMENTS = [(5, 6, 7), tuple(range(10, 40)), (8, 9), tuple(range(60, 75))]


def test_each_way_reads_every_document(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower = DecoderStack.lower
    read: list[tuple[int, int]] = []

    def counted(stack: DecoderStack, tokens_BT, layer, **inputs):  # type: ignore[no-untyped-def]
        read.append((len(tokens_BT), layer))
        return lower(stack, tokens_BT, layer, **inputs)

    monkeypatch.setattr(DecoderStack, "lower", counted)
    ways = rivals(tiny_checkpoint, DOCUMENTS, 1)
    for way in (ways.harvest, ways.truncated):
        read.clear()
        way()
        assert sum(rows for rows, _ in read) == len(DOCUMENTS) and {at for _, at in read} == {1}
    read.clear()
    ways.decoder()
    ways.full()
    assert read == []  # all blocks


def test_ratios_are_those_of_the_measured_seconds() -> None:
    ran: list[str] = []

    def way(name: str) -> Callable[[], None]:
        return lambda: ran.append(name)

    found = speed(Rivals(*(way(name) for name in Rivals._fields)), 100, rounds=2)
    assert ran == list(Rivals._fields) * 3  # in turns, the first round for nothing
    assert all(len(seconds) == 2 for seconds in found.seconds.values())
    told = Speed(100, {"harvest": [1.0, 2.0, 4.0], "full": [3.0, 4.0, 20.0]})
    assert told.times_as_fast_as("full") == [3.0, 2.0, 5.0]
    assert told.tokens_per_second("harvest") == 50.0


def test_the_command_keeps_what_it_prints(
    tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.run(command.SHORT, tiny_checkpoint, tmp_path)
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    kept = json.loads((tmp_path / "harvest.json").read_text(encoding="utf-8"))
    assert kept["summary"] == summary and kept["made_with"]["layer"] >= 0
    assert summary["ratio_truncated"] > 0 and summary["ratio_full"] > 0
    assert summary["tokens"] >= command.SHORT.tokens
