"""Several processes train what one would train: the same steps, thresholds and dead latents."""

from pathlib import Path
from typing import Any

import pytest
import torch

from dfc.crosscoder import replicas
from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.form import Form
from dfc.crosscoder.train import TrainedDfc, train
from dfc.crosscoder.train_together import train_together
from tests.dfc.crosscoder.test_train import CONFIG, planted

STEPS = 30


def config(form: Form) -> DfcConfig:
    changes = {"form": form, "steps": STEPS, "checkpoint_every": 10, "dead_after": 512}
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
        progress=lambda done, total: told.append((done, total)),
        **of_task,
    )
    assert_equal(together, train(base_TD, candidate_TD, config("tied"), **of_task))
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


def test_a_batch_that_can_not_be_divided_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicas, "count", lambda: 2)
    with pytest.raises(ValueError, match=r"dfc\.batch: 255 tokens can't be divided among 2"):
        replicas.own_part(torch.arange(255))
