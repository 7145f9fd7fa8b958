"""Which form of the crosscoder two models need."""

from dfc.crosscoder.config import Form
from dfc.engines.engine import EngineInfo


def form_of(base: EngineInfo, candidate: EngineInfo) -> Form:
    """Tied where one state can be taken from the other: the same blocks of the same width, after
    the same tokens, whether or not one's embeddings are padded. Strict for any other two."""
    same = all(
        getattr(base, field) == getattr(candidate, field)
        for field in ("architecture", "n_layers", "d_model", "tokenizer_digest")
    )
    return "tied" if same else "strict"


def relative_layer(part: float, info: EngineInfo) -> int:
    """The layer at ``part`` of the stack, never the last one."""
    return min(round(part * info.n_layers), max(info.n_layers - 2, 0))


def layer_of_base(layer: int, base: EngineInfo, candidate: EngineInfo) -> int:
    """The layer of the base that is as deep, in parts of the stack, as ``layer`` of the
    candidate."""
    if base.n_layers == candidate.n_layers:
        return layer
    run = round((layer + 1) * base.n_layers / candidate.n_layers)
    return min(max(run, 1), base.n_layers) - 1
