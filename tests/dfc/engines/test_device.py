"""Everything that is computed with a model gives the same wherever the model lies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from dfc.crosscoder.config import DfcConfig
from dfc.crosscoder.train import train
from dfc.engines.device import native_device
from dfc.engines.engine import Edit, Engine, FeatureBank, ScoreRow
from dfc.engines.precision import native_dtype
from dfc.engines.transformers_engine import TransformersEngine
from dfc.locating.attribution import Asked, moving_directions
from dfc.locating.patch_profile import patch_profile
from dfc.perturbation import Noise
from tests.dfc.conftest import LAYER
from tests.dfc.crosscoder.test_train import CONFIG, planted
from tests.dfc.far_device import FAR, FarTensor, far_devices, waits

SHORT = {"steps": 40, "checkpoint_every": 20}


@pytest.fixture
def far() -> Iterator[None]:
    with far_devices():
        yield


@pytest.fixture
def pair(
    far: None, tiny_checkpoint: Path, changed_checkpoint: Path
) -> tuple[TransformersEngine, TransformersEngine]:
    """Base and candidate, each on a device of its own; torch can go backwards on the first only."""
    return (
        TransformersEngine(tiny_checkpoint, dtype=torch.float32, device="far:1"),
        TransformersEngine(changed_checkpoint, dtype=torch.float32, device="far:0"),
    )


@pytest.mark.usefixtures("far")
def test_what_lies_apart_can_not_meet_and_has_to_be_fetched() -> None:
    there, here = torch.ones(3).to("far:0"), torch.ones(3)
    assert isinstance(there, FarTensor) and there.device == torch.device("far:0")
    for other in (here, here.to("far:1")):
        with pytest.raises(RuntimeError, match="far:0"):
            there + other
    assert type(there.cpu() + here) is torch.Tensor
    assert (there + there).sum().item() == 6.0


def test_states_and_logits_come_back_to_the_processor_unchanged(
    pair: tuple[Engine, Engine], engine: Engine
) -> None:
    documents = [(5, 6, 7, 8), (9, 10, 11)]
    there, here = pair[0].harvest(documents, LAYER), engine.harvest(documents, LAYER)
    assert all(type(part) is torch.Tensor for part in there)
    assert torch.equal(there.x_TD, here.x_TD)
    logits = [one.unembed(here.x_TD.float()) for one in (pair[0], engine)]
    assert type(logits[0]) is torch.Tensor and torch.equal(*logits)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_are_steered_scored_and_written_alike(
    pair: tuple[Engine, Engine],
    engine: Engine,
    bank: FeatureBank,
    rows: list[ScoreRow],
    temperature: float,
) -> None:
    edits = [[], [Edit(1, gain=-1.0)], [Edit(0, offset=1.0), Edit(4, offset=2.0)], [Edit(2)]]
    edits = [edits[n % 4] if len(row.prompt) > 1 else [] for n, row in enumerate(rows)]
    there, here = (one.score(rows, bank=bank, edits=edits) for one in (pair[0], engine))
    assert there == pytest.approx(here, abs=1e-5)
    prompts = [row.prompt for row in rows]
    written = [
        one.generate(prompts, 6, bank=bank, edits=edits, temperature=temperature, seed=3)
        for one in (pair[0], engine)
    ]
    assert written[0] == written[1]
    assert pair[0].n_steered_positions == engine.n_steered_positions > 0


def test_states_of_one_model_are_put_into_another_on_a_device_of_its_own(
    pair: tuple[Engine, Engine],
    engine: Engine,
    candidate_engine: Engine,
    rows: list[ScoreRow],
) -> None:
    weights = [1.0 if n % 2 else -1.0 for n in range(len(rows))]
    there, here = (
        patch_profile(*models, rows, weights, [0, 2])
        for models in (pair, (engine, candidate_engine))
    )
    assert [one.removed for one in there] == pytest.approx([one.removed for one in here], abs=1e-4)
    asked = [Asked(rows, weights)]
    found = [
        moving_directions(*models, asked, LAYER, 3) for models in (pair, (engine, candidate_engine))
    ]
    assert type(found[0].direction_RD) is torch.Tensor
    assert found[0].asked[0] == pytest.approx(found[1].asked[0], rel=1e-3)


def test_a_noisy_copy_is_the_same_anywhere(far: None, tiny_checkpoint: Path) -> None:
    rows = [ScoreRow((3, 4, 5), (6, 7))]
    scores = [
        TransformersEngine(
            tiny_checkpoint, dtype=torch.float32, device=device, perturbation=Noise(1e-2, 0)
        ).score(rows)
        for device in ("far:0", "cpu")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("form", ["tied", "strict"])
def test_training_elsewhere_ends_with_the_same_crosscoder_on_the_processor(
    far: None, tmp_path: Path, form: str
) -> None:
    base_TD, candidate_TD, direction_D, _ = planted()
    config = DfcConfig(**{**CONFIG.model_dump(), **SHORT, "form": form})
    moving_RD = direction_D[None] if form == "tied" else None

    def run(device: str, checkpoint: Path | None = None) -> dict[str, torch.Tensor]:
        trained = train(
            *(base_TD, candidate_TD, config),
            seed=0,
            device=device,
            moving_RD=moving_RD,
            checkpoint=checkpoint,
            progress=_interrupted_once(tmp_path / "stopped") if checkpoint else None,
        )
        parts = [trained.moving_RD] if trained.moving_RD is not None else []
        assert all(type(part) is torch.Tensor for part in parts)
        return trained.model.state_dict()

    here, there = run("cpu"), run("far:0")
    with pytest.raises(KeyboardInterrupt):
        run("far:0", tmp_path / "training")
    resumed = run("far:0", tmp_path / "training")
    for name, weight in here.items():
        assert there[name].device.type == "cpu"
        assert torch.allclose(there[name], weight, atol=1e-5), name
        assert torch.equal(resumed[name], there[name]), name


@pytest.mark.parametrize("form", ["tied", "strict"])
@pytest.mark.parametrize("dead_after", [1, 10**9])
def test_no_step_has_the_processor_wait(far: None, form: str, dead_after: int) -> None:
    changes = {"form": form, "k": 1, "dead_after": dead_after, "steps": 12}
    config = DfcConfig(**{**CONFIG.model_dump(), **changes, "checkpoint_every": 12})
    base_TD, candidate_TD, direction_D, _ = planted()
    waited: list[int] = []
    waits.clear()
    trained = train(
        *(base_TD, candidate_TD, config),
        seed=0,
        device="far:0",
        moving_RD=direction_D[None] if form == "tied" else None,
        progress=lambda step, _: waited.append(len(waits)),
    )
    # In the first step every gradient is looked at, after the last one what it came to.
    first, *others, last = waited
    assert first > 0 and set(others) == {first}, waits[first:]
    assert last > first
    assert (trained.history[-1]["aux"] > 0) == (dead_after == 1)


def _interrupted_once(mark: Path) -> Callable[[int, int], None]:
    def progress(step: int, steps: int) -> None:
        if step == 27 and not mark.exists():
            mark.touch()
            raise KeyboardInterrupt

    return progress


def test_models_share_the_gpus_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for count, expected in (
        (0, ["cpu", "cpu"]),
        (1, ["cuda:0", "cuda:0"]),
        (2, ["cuda:0", "cuda:1"]),
    ):
        monkeypatch.setattr(torch.cuda, "device_count", lambda count=count: count)
        assert [native_device(n) for n in (0, 1)] == expected
    assert native_dtype("cuda:0") is torch.bfloat16 and FAR not in expected
