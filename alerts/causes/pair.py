"""The two models that experiments compare."""

from typing import NamedTuple

from dfc.engines.engine import Engine, FeatureBank
from dfc.screening.base_view import BaseView


class Pair(NamedTuple):
    """The two models of a diff."""

    base: Engine
    candidate: Engine
    view: BaseView | None = None
    """How the candidate's features stand in a base of another architecture; None where both models
    have one residual space."""

    def in_base(self, bank: FeatureBank) -> FeatureBank | None:
        """The candidate's ``bank`` for the base; None where that is not known."""
        return bank if self.view is None else self.view.bank(bank)

    def base_layer(self, layer: int) -> int:
        """The base's layer beside the candidate's ``layer``."""
        return layer if self.view is None else self.view.layer
