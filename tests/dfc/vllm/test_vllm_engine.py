"""The vLLM engine's own logic, with a stand-in for vLLM; with vLLM itself see ``tests/vllm``."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from dfc.engines.engine import Edit, FeatureBank, Replay, ScoreRow
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, ModelError, SteeringError
from dfc.vllm import engine as module
from dfc.vllm.engine import VllmEngine
from tests.dfc.one_by_one import OneByOne

EDITS = [Edit(0, gain=-1.0), Edit(3, gain=2.0), Edit(4, offset=0.5)]
PROMPTS = [(5, 6, 7, 8, 9, 10, 11), (40, 41), (90, 14, 30, 77), (33, 150, 8)]
PER_PROMPT = [[Edit(2, offset=2.0)], [], [Edit(4, offset=3.0)], EDITS]


@pytest.fixture(scope="module")
def open_engine() -> Callable[[Path], VllmEngine]:
    def opened(path: Path) -> VllmEngine:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "LocalRuntime", OneByOne)
            return VllmEngine(path, torch.float32)

    return opened


@pytest.fixture(scope="module")
def found(open_engine: Callable[[Path], VllmEngine], tiny_checkpoint: Path) -> VllmEngine:
    return open_engine(tiny_checkpoint)


def runtime(engine: VllmEngine) -> OneByOne:
    assert isinstance(engine._runtime, OneByOne)
    return engine._runtime


def test_info_is_that_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine
) -> None:
    assert found.info == engine.info


def test_answers_are_those_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine, bank: FeatureBank
) -> None:
    expected = engine.generate(PROMPTS, 8, bank=bank, edits=PER_PROMPT)
    assert found.generate(PROMPTS, 8, bank=bank, edits=PER_PROMPT) == expected
    assert found.n_steered_positions == engine.n_steered_positions
    assert found.generate(PROMPTS, 8) == engine.generate(PROMPTS, 8) != expected


def test_scores_and_counts_are_those_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine, bank: FeatureBank, rows: list[ScoreRow]
) -> None:
    edits = [EDITS[: n % 3] if len(rows[n].prompt) > 1 else [] for n in range(len(rows))]
    expected = engine.score(rows, bank=bank, edits=edits)
    assert found.score(rows, bank=bank, edits=edits) == pytest.approx(expected, abs=1e-5)
    assert found.n_steered_positions == engine.n_steered_positions
    assert found.score(rows) == pytest.approx(engine.score(rows), abs=1e-5)
    assert found.n_steered_positions == 0


def test_harvest_is_that_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dfc.vllm.rows.RECORDED_AT_ONCE", 20)  # several groups
    documents = [(5, 6, 7), tuple(range(10, 40)), (8, 9), (77,), tuple(range(60, 75))]
    got, expected = found.harvest(documents, 2), engine.harvest(documents, 2)
    torch.testing.assert_close(got.x_TD, expected.x_TD, rtol=1e-2, atol=1e-3)
    assert all(torch.equal(a, b) for a, b in zip(got[1:], expected[1:], strict=True))


def test_unembedding_is_that_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine
) -> None:
    x_ND = torch.randn(3, engine.info.d_model)
    torch.testing.assert_close(found.unembed(x_ND), engine.unembed(x_ND))


def test_another_models_states_are_patched_in_and_its_own_are_not(
    found: VllmEngine,
    engine: TransformersEngine,
    candidate_engine: TransformersEngine,
    open_engine: Callable[[Path], VllmEngine],
    changed_checkpoint: Path,
    rows: list[ScoreRow],
    bank: FeatureBank,
) -> None:
    changed = open_engine(changed_checkpoint)
    rows = [row for row in rows if len(row.prompt) > 1]
    for edits in ([], EDITS):
        asked = {"bank": bank, "edits": edits} if edits else {}
        expected = candidate_engine.score_from(engine.capture(rows, 1), **asked)  # type: ignore[arg-type]
        replay = found.capture(rows, 1)
        assert changed.score_from(replay, **asked) == pytest.approx(expected, abs=1e-5)  # type: ignore[arg-type]
        own = engine.score_from(engine.capture(rows, 1), **asked)  # type: ignore[arg-type]
        assert found.score_from(replay, **asked) == pytest.approx(own, abs=1e-5)  # type: ignore[arg-type]


def test_samples_are_those_of_the_transformers_engine(
    found: VllmEngine, engine: TransformersEngine
) -> None:
    sampled = found.generate(PROMPTS, 6, temperature=1.0, seed=4)
    assert sampled == engine.generate(PROMPTS, 6, temperature=1.0, seed=4)
    assert sampled != engine.generate(PROMPTS, 6, temperature=1.0, seed=5)


def test_what_pads_the_embeddings_is_never_written(
    open_engine: Callable[[Path], VllmEngine],
    tiny_checkpoint: Path,
    pad_checkpoint: Callable[[Path, Path], Path],
    tmp_path: Path,
) -> None:
    path = pad_checkpoint(tiny_checkpoint, tmp_path / "padded")
    expected = TransformersEngine(path, dtype=torch.float32).generate(PROMPTS, 8)
    assert open_engine(path).generate(PROMPTS, 8) == expected


def test_rows_share_a_cached_prefix_only_under_equal_edits(
    found: VllmEngine, bank: FeatureBank
) -> None:
    found.generate(PROMPTS, 1, bank=bank, edits=[EDITS, [], EDITS, EDITS[:1]])
    first, plain, same, other = runtime(found).salts
    assert plain is None and first == same != other
    stronger = bank._replace(unit_K=2 * bank.unit_K)
    for changed in (stronger, bank._replace(layer=2)):
        found.generate(PROMPTS[:1], 1, bank=changed, edits=[EDITS])
        assert runtime(found).salts != [first]
    found.harvest([PROMPTS[0], PROMPTS[0]], 1)
    assert len({*runtime(found).salts, None}) == 3


def test_edits_that_vllm_did_not_run_are_noticed(
    found: VllmEngine, bank: FeatureBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime(found).instrument, "begin", lambda step: None)
    with pytest.raises(SteeringError, match=r"edits of row 0 reached 0 of 7 positions"):
        found.generate(PROMPTS[:1], 2, bank=bank, edits=[EDITS])
    with pytest.raises(SteeringError, match="without its hooks"):
        found.score([ScoreRow((5, 6), (7,))], bank=bank, edits=[EDITS])


def test_an_edit_that_touches_nothing_is_refused(found: VllmEngine, bank: FeatureBank) -> None:
    with pytest.raises(SteeringError, match="touches no position"):
        found.generate([(5,)], 1, bank=bank, edits=[EDITS])


def test_a_feature_outside_the_bank_is_refused(found: VllmEngine, bank: FeatureBank) -> None:
    with pytest.raises(SteeringError, match=r"feature 6.*0\.\.5"):
        found.generate([(5, 6)], 1, bank=bank, edits=[[Edit(6)]])


def test_foreign_replays_and_other_layers_are_refused(
    found: VllmEngine, engine: TransformersEngine, bank: FeatureBank, rows: list[ScoreRow]
) -> None:
    for foreign in (Replay(1, tuple(rows)), engine.capture(rows, 1)):
        with pytest.raises(InputError, match="another kind of engine"):
            found.score_from(foreign)
    with pytest.raises(SteeringError, match="layer 1, the replay holds layer 2"):
        found.score_from(found.capture(rows, 2), bank=bank, edits=[Edit(0, gain=-1.0)])


def test_gradients_are_refused_with_their_remedy(found: VllmEngine, rows: list[ScoreRow]) -> None:
    replay = found.capture(rows, 1)
    with pytest.raises(InputError, match=r"no gradients; .* transformers engine"):
        found.gradients_between(replay, replay)


def test_one_token_less_fits_since_vllm_writes_one(found: VllmEngine) -> None:
    with pytest.raises(InputError, match="row 0 needs 512 tokens, the model can see 511"):
        found.score([ScoreRow((5,) * 511, (6,))])


def test_a_weight_that_is_no_number_or_is_missing_is_named(
    open_engine: Callable[[Path], VllmEngine], make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint(tmp_path / "damaged")
    weights = load_file(path / "model.safetensors")
    weights["model.layers.2.mlp.up_proj.weight"][3, 1] = float("nan")
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"layers\.2\.mlp\.up_proj\.weight holds .* not finite"):
        open_engine(path)
    del weights["model.layers.2.mlp.up_proj.weight"]
    save_file(weights, path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing keys .*layers\.2\.mlp\.up_proj"):
        open_engine(path)


def test_code_in_a_checkpoint_is_not_run(
    open_engine: Callable[[Path], VllmEngine], make_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    path = make_checkpoint(tmp_path / "own")
    (path / "config.json").write_text(
        '{"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig"}}'
    )
    (path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_engine(path)
    assert not (tmp_path / "ran").exists()


def test_a_directory_without_safetensors_is_refused(
    open_engine: Callable[[Path], VllmEngine], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        open_engine(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"no \*\.safetensors weights"):
        open_engine(tmp_path)


def test_an_engine_without_vllm_says_how_to_get_it(tiny_checkpoint: Path) -> None:
    with pytest.raises(ModelError, match=r"install the extra 'vllm'"):
        VllmEngine(tiny_checkpoint, torch.float32)
