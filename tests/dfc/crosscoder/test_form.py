"""Which form two models need, and which of their layers are as deep."""

import pytest

from dfc.crosscoder.form import form_of, layer_of_base
from dfc.engines.engine import EngineInfo

LLAMA = EngineInfo("llama", 12, 64, "bfloat16", 1000, "t")


@pytest.mark.parametrize("n_layers", [1, 4, 12, 30])
def test_every_layer_has_a_layer_of_the_base(n_layers: int) -> None:
    base = LLAMA._replace(n_layers=n_layers)
    found = [layer_of_base(layer, base, LLAMA) for layer in range(LLAMA.n_layers)]
    assert found == sorted(found)
    assert min(found) >= 0 and found[-1] == n_layers - 1


@pytest.mark.parametrize(
    ("layer", "layers", "base_layers", "expected"),
    [(15, 36, 36, 15), (15, 32, 36, 17), (0, 30, 6, 0), (29, 30, 6, 5), (5, 6, 30, 29)],
)
def test_layers_match_by_the_part_of_the_blocks_that_have_run(
    layer: int, layers: int, base_layers: int, expected: int
) -> None:
    base, candidate = (LLAMA._replace(n_layers=n) for n in (base_layers, layers))
    assert layer_of_base(layer, base, candidate) == expected


@pytest.mark.parametrize(
    "change", [{"architecture": "gpt_neox"}, {"d_model": 32}, {"n_layers": 4}], ids=str
)
def test_other_stacks_need_the_strict_form(change: dict[str, object]) -> None:
    assert form_of(LLAMA, LLAMA) == "tied"
    assert form_of(LLAMA, LLAMA._replace(**change)) == "strict"
