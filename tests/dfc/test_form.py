"""Which form two models need, and which of their layers are as deep."""

import pytest

from dfc.engine import EngineInfo
from dfc.form import form_of, layer_of_base

LLAMA = EngineInfo("llama", 12, 64, "bfloat16", 1000, "t")


@pytest.mark.parametrize("n_layers", [1, 4, 12, 30])
def test_every_layer_has_a_layer_of_the_base(n_layers: int) -> None:
    base = LLAMA._replace(n_layers=n_layers)
    found = [layer_of_base(layer, base, LLAMA) for layer in range(LLAMA.n_layers)]
    assert found == sorted(found)
    assert min(found) >= 0 and found[-1] == n_layers - 1


@pytest.mark.parametrize(
    "change", [{"architecture": "gpt_neox"}, {"d_model": 32}, {"n_layers": 4}], ids=str
)
def test_other_stacks_need_the_strict_form(change: dict[str, object]) -> None:
    assert form_of(LLAMA, LLAMA) == "tied"
    assert form_of(LLAMA, LLAMA._replace(**change)) == "strict"
