"""Rows in one flat batch, in chunks and beside each other, get their own edits and states."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dfc.engines.engine import Edit, FeatureBank
from dfc.errors import InputError, ModelError, ParityError, SteeringError
from dfc.vllm.edit_table import EditTable, PackedBank
from dfc.vllm.instrument import Instrument
from dfc.vllm.plans import Plan, Step, step_of
from dfc.vllm.residual import convention_of, find_blocks
from dfc.vllm.wire import from_bytes, to_bytes
from tests.dfc import naive

D = 32
EDITS = [
    [Edit(0, gain=-1.0), Edit(2, offset=2.0)],
    [],
    [Edit(4, offset=3.0)],
    [Edit(4, offset=-1.0), Edit(4, gain=2.0), Edit(1, gain=1.0)],
]
LENGTHS = [5, 3, 4, 2]


class Fused(nn.Module):
    """A block as most of vLLM's: the stream is the sum of what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, D)

    def forward(self, x: Tensor, residual: Tensor | None) -> tuple[Tensor, Tensor]:
        residual = x if residual is None else x + residual
        return torch.tanh(self.linear(residual)), residual


class Paired(nn.Module):
    """A block that returns the stream beside something that is no part of it."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(D, D)

    def forward(self, x: Tensor, beside: Tensor | None) -> tuple[Tensor, Tensor]:
        moved = torch.tanh(self.linear(x))
        return x + moved, moved


class Model(nn.Module):
    """Three blocks, a norm and a head, on states instead of tokens."""

    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layers = nn.ModuleList([kind() for _ in range(3)])
        self.norm = nn.LayerNorm(D)
        self.head = nn.Linear(D, 7)
        self.summed = kind is Fused

    def forward(self, x_TD: Tensor) -> Tensor:
        second = None
        for layer in self.layers:
            x_TD, second = layer(x_TD, second)
        return self.norm(x_TD + second if self.summed else x_TD)

    def compute_logits(self, x_ND: Tensor) -> Tensor:
        return self.head(x_ND)


def stream(model: Model, x_TD: Tensor, edit: Any = None, layers: int = 3) -> Tensor:
    """States after some blocks, by the definition of the stream, changed after block 1."""
    for number, block in enumerate(list(model.layers)[:layers]):
        moved = torch.tanh(block.linear(x_TD))
        x_TD = x_TD + moved
        if number == 1 and edit is not None:
            x_TD = edit(x_TD)
    return x_TD


@pytest.fixture(params=[Fused, Paired])
def model(request: pytest.FixtureRequest) -> Model:
    return Model(request.param).requires_grad_(False)


@pytest.fixture
def instrument(model: Model) -> Instrument:
    return Instrument(model, 3, D, records=True)


@pytest.fixture
def texts() -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    return [torch.randn(n, D, generator=generator) for n in LENGTHS]


def packed_plans(instrument: Instrument, bank: FeatureBank, **wanted: Any) -> list[Plan]:
    packed = PackedBank(bank, EDITS)
    instrument.load_bank(bank.layer, packed.packed.parts)
    return [
        Plan(row, LENGTHS[row], packed.edits(edits), **wanted) for row, edits in enumerate(EDITS)
    ]


def run(model: Model, instrument: Instrument, step: Step, x_TD: Tensor) -> Tensor:
    instrument.begin(step)
    try:
        return model(x_TD)
    finally:
        instrument.end()


def test_every_row_gets_its_own_edits(
    model: Model, instrument: Instrument, texts: list[Tensor], bank: FeatureBank
) -> None:
    plans = packed_plans(instrument, bank, records=(1, 2))
    starts = [0, *torch.tensor(LENGTHS).cumsum(0).tolist()]
    out_TD = run(model, instrument, step_of(plans, starts, [0] * 4), torch.cat(texts))
    taken = {(row, layer): from_bytes(*x) for row, layer, x in instrument.take_states()}
    assert set(taken) == {(row, layer) for row in range(4) for layer in (1, 2)}
    for row, text in enumerate(texts):
        edits = EDITS[row]
        expected = [
            stream(model, text, lambda x, edits=edits: naive.edited(x, bank, edits), layers)
            for layers in (2, 3)
        ]
        torch.testing.assert_close(taken[row, 1], expected[0])
        torch.testing.assert_close(taken[row, 2], expected[1])
        lines = slice(starts[row], starts[row + 1])
        torch.testing.assert_close(out_TD[lines], model.norm(expected[1]))
    assert dict(instrument.take_reached()) == {0: 4, 2: 3, 3: 1}
    assert instrument.take_reached() == [] == instrument.take_states()


def test_rows_in_chunks_and_in_any_order_are_put_together(
    model: Model, instrument: Instrument, texts: list[Tensor], bank: FeatureBank
) -> None:
    plans = packed_plans(instrument, bank, records=(1,))
    first, second = texts[0], texts[2]
    steps = [  # as a scheduler cuts them: positions go on, rows change places, one starts over
        ([plans[0], plans[2]], [0, 2, 3], [0, 0], [first[:2], second[:1]]),
        ([plans[2], plans[0]], [0, 1, 3], [1, 2], [second[1:2], first[2:4]]),
        ([plans[2]], [0, 4], [0], [second]),
        ([None, plans[0]], [0, 3, 4], [0, 4], [texts[1], first[4:]]),
    ]
    for rows, starts, positions, parts in steps:
        run(model, instrument, step_of(rows, starts, positions), torch.cat(parts))
    taken = {row: from_bytes(*x) for row, _, x in instrument.take_states()}
    assert set(taken) == {0, 2}
    for row, text in ((0, first), (2, second)):
        edits = EDITS[row]
        expected = stream(model, text, lambda x, edits=edits: naive.edited(x, bank, edits), 2)
        torch.testing.assert_close(taken[row], expected)


def test_lines_without_edits_keep_their_states_bit_for_bit(
    model: Model, instrument: Instrument, texts: list[Tensor], bank: FeatureBank
) -> None:
    plans = packed_plans(instrument, bank, records=(1,))
    plain_TD = run(model, instrument, Step(), torch.cat(texts[:2]))
    step = step_of([plans[0], None], [0, 5, 8], [0, 0])
    steered_TD = run(model, instrument, step, torch.cat(texts[:2]))
    assert torch.equal(steered_TD[0], plain_TD[0])  # the first position
    assert torch.equal(steered_TD[5:], plain_TD[5:])  # the row beside it
    assert not torch.isclose(steered_TD[1:5], plain_TD[1:5]).all(dim=1).any()


def test_loaded_states_take_the_place_of_a_rows_own(
    model: Model, instrument: Instrument, texts: list[Tensor]
) -> None:
    other_TD = torch.randn(5, D)
    plans = [Plan(0, 5, patch=1), Plan(1, 3)]
    instrument.load_states(0, *to_bytes(other_TD))
    step = step_of(plans, [0, 2, 5], [0, 0])
    first_TD = run(model, instrument, step, torch.cat([texts[0][:2], texts[1]]))
    # One token more than was loaded: it is left alone.
    step = step_of(plans[:1], [0, 4], [2])
    second_TD = run(model, instrument, step, torch.cat([texts[0][2:], texts[0][:1]]))
    patched_TD = stream(model, torch.zeros(5, D), lambda x: other_TD)
    torch.testing.assert_close(torch.cat([first_TD[:2], second_TD[:3]]), model.norm(patched_TD))
    for found_TD, own_TD in ((first_TD[2:], texts[1]), (second_TD[3:], texts[0][:1])):
        torch.testing.assert_close(found_TD, model.norm(stream(model, own_TD)))


def test_states_that_were_not_loaded_are_an_error(
    model: Model, instrument: Instrument, texts: list[Tensor]
) -> None:
    with pytest.raises(InputError, match="no states were loaded for row 3"):
        run(model, instrument, step_of([Plan(3, 5, patch=1)], [0, 5], [0]), texts[0])
    instrument.load_states(3, *to_bytes(texts[1]))
    with pytest.raises(InputError, match="patches 5 positions and loaded states of 3"):
        run(model, instrument, step_of([Plan(3, 5, patch=1)], [0, 5], [0]), texts[0])


def test_positions_that_passed_no_hook_are_missed(
    model: Model, instrument: Instrument, texts: list[Tensor]
) -> None:
    plan = Plan(0, 5, records=(1,))
    run(model, instrument, step_of([plan], [0, 3], [2]), texts[0][2:])  # 2 came from a cache
    with pytest.raises(ParityError, match="2 of 5 positions of row 0"):
        instrument.take_states()


def test_what_runs_unannounced_is_left_alone(
    model: Model, instrument: Instrument, texts: list[Tensor], bank: FeatureBank
) -> None:
    plans = packed_plans(instrument, bank, records=(1,))
    step = step_of(plans[:1], [0, 5], [0])
    run(model, instrument, step, texts[0])
    instrument.take_states()
    torch.testing.assert_close(model(texts[0]), model.norm(stream(model, texts[0])))
    assert instrument.take_states() == []


def test_unembedding_runs_what_follows_the_blocks(
    model: Model, instrument: Instrument, texts: list[Tensor]
) -> None:
    final_TD = run(model, instrument, Step(), texts[0])
    packed = to_bytes(stream(model, texts[0]))
    logits = instrument.unembed(*packed)
    assert logits is not None
    torch.testing.assert_close(from_bytes(*logits), model.head(final_TD))


def test_another_bank_than_that_of_the_plan_is_an_error(bank: FeatureBank) -> None:
    table = EditTable(D, torch.device("cpu"))
    step = step_of([Plan(0, 3, ((2, 1.0, 0.0),))], [0, 3], [0])
    with pytest.raises(SteeringError, match="feature 2 of a loaded bank of 0"):
        table.fill(3, step.editing())


def test_a_padded_batch_gets_zero_beyond_its_rows(bank: FeatureBank) -> None:
    packed = PackedBank(bank, EDITS)
    table = EditTable(D, torch.device("cpu"))
    table.load(1, [from_bytes(*part) for part in packed.packed.parts])
    table.fill(5, step_of([Plan(0, 5, packed.edits(EDITS[2]))], [0, 5], [0]).editing())
    delta_TD = table.delta(torch.randn(8, D))
    assert (delta_TD[5:] == 0).all() and (delta_TD[0] == 0).all()
    expected_D = 3.0 * bank.unit_K[4] * bank.decoder_KD[4]
    torch.testing.assert_close(delta_TD[1:5], expected_D.expand(4, D))


def test_a_hundred_strengths_of_one_feature_load_it_once(bank: FeatureBank) -> None:
    packed = PackedBank(bank, [[Edit(3, offset=s / 10)] for s in range(100)])
    assert [part.shape[0] for part in packed.packed.parts] == [1, 1, 1, 1]
    assert packed.edits([Edit(3, gain=-1.0, offset=2.0)]) == (
        (0, -1.0, pytest.approx(2.0 * bank.unit_K[3].item())),
    )


def test_blocks_that_can_not_be_told_are_refused() -> None:
    model = Model(Fused)
    model.other = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    with pytest.raises(ModelError, match="2 lists of 3 blocks"):
        find_blocks(model, 3)
    with pytest.raises(ModelError, match="0 lists of 4 blocks"):
        find_blocks(model, 4)


def test_only_a_block_that_takes_a_residual_is_summed() -> None:
    assert convention_of(Fused()).summed
    assert not convention_of(Paired()).summed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (5,)])
def test_tensors_keep_every_bit_on_the_wire(dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape).to(dtype)
    found = from_bytes(*to_bytes(x))
    assert found.dtype == dtype and torch.equal(found, x)
