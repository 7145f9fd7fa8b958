"""Scores from packed, captured states equal those of one plain row at a time."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from dfc.engines.engine import Edit, FeatureBank, Replay, ScoreRow
from dfc.engines.prompt_tree import TreeBatch, tree_batches
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import InputError, ParityError, SteeringError
from tests.dfc import naive

EDITS = [Edit(0, gain=-1.0), Edit(3, gain=2.0), Edit(4, offset=0.5)]


def test_scores_equal_plain_rows(
    engine: TransformersEngine, tiny_checkpoint: Path, rows: list[ScoreRow]
) -> None:
    model = naive.load(tiny_checkpoint)
    assert engine.score(rows) == pytest.approx([naive.score(model, r) for r in rows], abs=1e-5)


def test_replay_with_edits_equals_a_hook(
    engine: TransformersEngine, tiny_checkpoint: Path, rows: list[ScoreRow], bank: FeatureBank
) -> None:
    model = naive.load(tiny_checkpoint)
    replay = engine.capture(rows, bank.layer)
    for edits in ([], EDITS[:1], EDITS):
        expected = [naive.score(model, row, bank, edits) for row in rows]
        assert engine.score_from(replay, bank=bank, edits=edits) == pytest.approx(
            expected, abs=1e-5
        )
    plain = engine.score(rows)
    steered = engine.score_from(replay, bank=bank, edits=EDITS)
    assert max(abs(a - b) for a, b in zip(plain, steered, strict=True)) > 0.05


def test_every_row_gets_its_own_edits(
    engine: TransformersEngine, tiny_checkpoint: Path, rows: list[ScoreRow], bank: FeatureBank
) -> None:
    model = naive.load(tiny_checkpoint)
    edits = [EDITS[: n % 3] if len(rows[n].prompt) > 1 else [] for n in range(len(rows))]
    expected = [naive.score(model, r, bank, e) for r, e in zip(rows, edits, strict=True)]
    assert engine.score(rows, bank=bank, edits=edits) == pytest.approx(expected, abs=1e-5)


def test_replays_are_proven_with_the_masks_of_trees_and_without(
    tiny_checkpoint: Path, rows: list[ScoreRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    proven: list[bool] = []

    def noted(stack: object, rows: object, batch: TreeBatch, *others: object) -> None:
        proven.append(bool(batch.inputs(torch.float32)))

    monkeypatch.setattr("dfc.engines.scoring.check_replay", noted)
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.float32)
    together = [row._replace(prompt=rows[1].prompt) for row in rows]
    for _ in range(2):
        engine.capture(rows[1:2], 1)
        engine.capture(together, 1)
    assert proven == [False, True]


@pytest.mark.parametrize("layer", [0, 2, 3])
def test_replay_from_every_layer(
    engine: TransformersEngine, rows: list[ScoreRow], layer: int
) -> None:
    replay = engine.capture(rows, layer)
    assert engine.score_from(replay) == pytest.approx(engine.score(rows), abs=1e-5)


def test_state_of_the_other_model_is_patched_in(
    engine: TransformersEngine,
    candidate_engine: TransformersEngine,
    tiny_checkpoint: Path,
    changed_checkpoint: Path,
    rows: list[ScoreRow],
) -> None:
    base, candidate = naive.load(tiny_checkpoint), naive.load(changed_checkpoint)
    layer, row = 2, rows[0]
    tokens = torch.tensor([[*row.prompt, *row.completion]])
    x_BTD = base.get_decoder()(tokens, output_hidden_states=True).hidden_states[layer + 1]
    naive.blocks(candidate)[layer].register_forward_hook(lambda block, args, out: x_BTD)
    patched = candidate_engine.score_from(engine.capture(rows, layer))
    assert patched[0] == pytest.approx(naive.score(candidate, row), abs=1e-5)
    assert patched[0] != pytest.approx(candidate_engine.score(rows)[0], abs=1e-3)


@pytest.mark.parametrize(
    "model",
    [
        Qwen3ForCausalLM(
            Qwen3Config(
                vocab_size=320,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=4,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=8,
                use_sliding_window=True,
                sliding_window=8,
                max_window_layers=2,
                initializer_range=0.3,
            )
        ),
        Gemma2ForCausalLM(
            Gemma2Config(
                vocab_size=320,
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=4,
                num_attention_heads=4,
                num_key_value_heads=2,
                head_dim=8,
                sliding_window=8,
                final_logit_softcapping=3.0,
                initializer_range=0.3,
            )
        ),
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=320,
                n_embd=32,
                n_layer=4,
                n_head=4,
                n_positions=64,
                initializer_range=0.3,
                bos_token_id=1,
                eos_token_id=2,
            )
        ),
    ],
    ids=["per-layer attention types", "soft cap and scaled embeddings", "learned positions"],
)
def test_other_architectures(
    model: PreTrainedModel,
    save_checkpoint: Callable[[Path, PreTrainedModel], Path],
    tmp_path: Path,
    rows: list[ScoreRow],
    bank: FeatureBank,
) -> None:
    path = save_checkpoint(tmp_path, model)
    engine, plain = TransformersEngine(path, dtype=torch.float32), naive.load(path)
    replay = engine.capture(rows, bank.layer)
    for edits in ([], EDITS):
        expected = [naive.score(plain, row, bank, edits) for row in rows]
        assert engine.score_from(replay, bank=bank, edits=edits) == pytest.approx(
            expected, abs=1e-4
        )


def test_rows_of_one_prompt_share_it(rows: list[ScoreRow]) -> None:
    batches = tree_batches(rows, budget=10_000)
    fed = sum(int((batch.branch_BT >= 0).sum()) for batch in batches)
    prompts = {row.prompt for row in rows}
    assert fed == sum(map(len, prompts)) + sum(len(row.completion) - 1 for row in rows)


def test_a_crowded_prompt_is_split(engine: TransformersEngine) -> None:
    prompt = tuple(range(3, 203))
    rows = [ScoreRow(prompt, (5 + n,) * 60) for n in range(12)]
    batches = tree_batches(rows, budget=1_000)
    assert sum(len(batch.rows) for batch in batches) > 1
    alone = [engine.score([row])[0] for row in rows]
    assert engine.score(rows) == pytest.approx(alone, abs=1e-5)


def test_steered_positions_are_counted(engine: TransformersEngine, bank: FeatureBank) -> None:
    rows = [ScoreRow((5, 6, 7), (8, 9)), ScoreRow((5, 6), (8,))]
    engine.score(rows, bank=bank, edits=[[Edit(0, offset=1.0)], []])
    assert engine.n_steered_positions == 3


def test_an_edit_that_touches_nothing_is_refused(
    engine: TransformersEngine, bank: FeatureBank
) -> None:
    with pytest.raises(SteeringError, match="touches no position"):
        engine.score([ScoreRow((5,), (8,))], bank=bank, edits=[[Edit(0, gain=-1.0)]])


def test_a_feature_outside_the_bank_is_refused(
    engine: TransformersEngine, bank: FeatureBank, rows: list[ScoreRow]
) -> None:
    with pytest.raises(SteeringError, match=r"feature 6.*0\.\.5"):
        engine.score_from(engine.capture(rows, bank.layer), bank=bank, edits=[Edit(6)])


def test_a_bank_of_another_layer_is_refused(
    engine: TransformersEngine, bank: FeatureBank, rows: list[ScoreRow]
) -> None:
    with pytest.raises(SteeringError, match="layer 1, the replay holds layer 2"):
        engine.score_from(engine.capture(rows, 2), bank=bank, edits=[Edit(0, gain=-1.0)])


def test_an_edit_that_does_not_arrive_is_noticed(
    tiny_checkpoint: Path, rows: list[ScoreRow], bank: FeatureBank
) -> None:
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.float32)
    replay = engine.capture(rows, bank.layer)
    above = engine._stack.blocks[bank.layer + 1]
    above.register_forward_pre_hook(lambda block, args: (args[0] * 1.01, *args[1:]))
    with pytest.raises(SteeringError, match="did not arrive"):
        engine.score_from(replay, bank=bank, edits=EDITS)


def test_a_hooked_model_fails_the_parity_check(tiny_checkpoint: Path, rows: list[ScoreRow]) -> None:
    engine = TransformersEngine(tiny_checkpoint, dtype=torch.float32)
    original = engine._stack.upper
    engine._stack.upper = lambda x, layer, **kw: original(x * 1.01, layer, **kw)  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ParityError, match="plain forward pass"):
            engine.capture(rows, 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ScoreRow((), (5,)), "row 1 has an empty prompt"),
        (ScoreRow((5,), ()), "row 1 has an empty completion"),
        (ScoreRow((5,), (320,)), r"row 1 has token ids outside 0\.\.319"),
        (ScoreRow((5,) * 512, (6,)), "row 1 needs 513 tokens, the model can see 512"),
    ],
)
def test_bad_rows_are_named(engine: TransformersEngine, row: ScoreRow, message: str) -> None:
    with pytest.raises(InputError, match=message):
        engine.score([ScoreRow((4, 5), (6,)), row])


def test_a_replay_of_another_width_is_refused(
    engine: TransformersEngine,
    make_checkpoint: Callable[..., Path],
    tmp_path: Path,
    rows: list[ScoreRow],
) -> None:
    narrow = TransformersEngine(make_checkpoint(tmp_path, hidden_size=16), dtype=torch.float32)
    with pytest.raises(InputError, match="states of width 16; this model needs float32 of width"):
        engine.score_from(narrow.capture(rows, 1))


def test_a_foreign_replay_is_refused(engine: TransformersEngine, rows: list[ScoreRow]) -> None:
    with pytest.raises(InputError, match="another kind of engine"):
        engine.score_from(Replay(1, tuple(rows)))
