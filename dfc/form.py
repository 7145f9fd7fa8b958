"""Which form of the crosscoder two models need."""

from dfc.config import Form
from dfc.engine import EngineInfo


def form_of(base: EngineInfo, candidate: EngineInfo) -> Form:
    """Tied where one state can be taken from the other: the same blocks of the same width, after
    the same tokens. Strict for any other two."""
    same = all(
        getattr(base, field) == getattr(candidate, field)
        for field in ("architecture", "n_layers", "d_model", "tokenizer_digest")
    )
    return "tied" if same else "strict"
