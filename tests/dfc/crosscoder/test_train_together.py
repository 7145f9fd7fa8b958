"""Several processes train what one would train: the same steps, thresholds and dead latents."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from dfc.crosscoder import replicas, selection
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.form import Form
from dfc.crosscoder.selection import Reader
from dfc.crosscoder.train import TrainedDfc, train
from dfc.crosscoder.train_together import train_together
from tests.dfc.crosscoder.test_train import CONFIG, planted
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("float32")
STEPS = 30


def config(form: Form) -> DfcConfig:
    changes = {"form": form, "steps": STEPS, "checkpoint_every": 10, "dead_after": 1, "k": 1}
    return DfcConfig.model_validate(CONFIG.model_dump() | changes)


def assert_equal(one: TrainedDfc, other: TrainedDfc) -> None:
    """Up to what the order of sums changes."""
    state, others = one.model.state_dict(), other.model.state_dict()
    assert state.keys() == others.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, others[name], atol=2e-4, rtol=2e-3, msg=name)
    for entry, entry_of_other in zip(one.history, other.history, strict=True):
        assert entry == pytest.approx(entry_of_other, rel=1e-3, abs=1e-5)


def test_two_processes_train_as_one(tmp_path: Path) -> None:
    base_TD, candidate_TD, direction_D, _ = planted()
    weight_T = torch.rand(len(base_TD), generator=torch.Generator().manual_seed(1))
    of_task: dict[str, Any] = {"seed": 3, "moving_RD": direction_D[None], "weight_T": weight_T}
    told: list[tuple[int, int]] = []
    together = train_together(
        base_TD,
        candidate_TD,
        config("tied"),
        processes=2,
        checkpoint=tmp_path / "training",
        scratch=tmp_path,
        progress=lambda done, total: told.append((done, total)),
        **of_task,
    )
    assert_equal(together, train(base_TD, candidate_TD, config("tied"), **of_task))
    assert any(entry["aux"] > 0 for entry in together.history)  # some were dead, in both parts
    assert told == [(step, STEPS) for step in range(1, STEPS + 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["training"]


def test_two_that_were_stopped_go_on_as_one(tmp_path: Path) -> None:
    base_TD, candidate_TD, _, _ = planted()

    def stop(done: int, _: int) -> None:
        if done == 7:
            raise SystemExit

    with pytest.raises(SystemExit):
        train_together(
            base_TD,
            candidate_TD,
            config("strict"),
            seed=3,
            processes=2,
            checkpoint=tmp_path / "training",
            scratch=tmp_path,
            progress=stop,
        )
    told: list[int] = []
    stopped = train(
        base_TD,
        candidate_TD,
        config("strict"),
        seed=3,
        checkpoint=tmp_path / "training",
        progress=lambda done, _: told.append(done),
    )
    assert told[0] > 7 and told[-1] == STEPS
    assert_equal(stopped, train(base_TD, candidate_TD, config("strict"), seed=3))


STARTER = """
import signal, sys
from pathlib import Path
from dfc.crosscoder.train_together import train_together
from tests.dfc.crosscoder.test_train import planted
from tests.dfc.crosscoder.test_train_together import config
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append("stop"))
def progress(done, total):
    if told:
        sys.exit(75)
place = Path(sys.argv[1])
base_TD, candidate_TD, _, _ = planted()
long = config("tied").model_copy(update={"steps": 10**6, "checkpoint_every": 10**6})
print("begins", flush=True)
train_together(
    base_TD, candidate_TD, long, seed=0, processes=2, checkpoint=place / "training", scratch=place,
    progress=progress,
)
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL])
def test_they_end_with_who_started_them_even_while_they_start(sent: int, tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert starter.stdout is not None and starter.stdout.readline() == "begins\n"
    until(lambda: len(parts_of(tmp_path)) == 2)
    os.killpg(starter.pid, sent)
    code = starter.wait(timeout=120)
    until(lambda: parts_of(tmp_path) == [])
    if sent == signal.SIGTERM:
        assert code == 75 and (tmp_path / "training").is_dir()


def parts_of(directory: Path) -> list[psutil.Process]:
    """The processes that train for whoever works in `directory`."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if "dfc.crosscoder.train_part" in (command := process.info["cmdline"] or [])
        and "torch.distributed.run" not in command
        and any(str(directory) in part for part in command)
    ]


def test_above_the_highest_bound_all_scores_are_known_or_all_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = torch.Generator().manual_seed(0)
    x_BD, encoder_FD = (torch.randn(n, 16, generator=generator) for n in (64, 40))
    reader = Reader([(x_BD, encoder_FD)], torch.zeros(40), torch.ones(40))
    wanted = 256
    asked: list[int] = []

    def found(highest: float, elsewhere: int) -> int:
        """How many codes are candidates, where another process has this bound, and so many above
        the highest."""
        monkeypatch.setattr(replicas, "count", lambda: 2)
        monkeypatch.setattr(replicas, "highest", lambda x: torch.maximum(x, torch.tensor(highest)))
        monkeypatch.setattr(replicas, "summed", lambda x: asked.append(int(x)) or x + elsewhere)
        return sum(len(part.score_N) for part in selection._candidates([reader], wanted))

    few, every = found(0.0, wanted), int((x_BD @ encoder_FD.T > 0).sum())
    assert wanted / 2 <= few < every
    above = int((x_BD @ encoder_FD.T >= 8.0).sum())
    assert found(8.0, wanted - above - 1) == every  # one too few in all
    assert found(8.0, wanted - above) == few and asked[1:] == [above, above]


def test_a_batch_that_can_not_be_divided_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "count", lambda: 2)
    with pytest.raises(ValueError, match=r"dfc\.batch: 255 tokens can't be divided among 2"):
        replicas.own_part(torch.arange(255))
