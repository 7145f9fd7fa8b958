"""What removes a version's shift, and how well, beside what the base's whole state removes."""

from pydantic import BaseModel, ConfigDict


class Causes(BaseModel):
    """What removes the shift: parts of the shift itself, not of the ceiling. None is "not
    measured"."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ceiling: float | None = None
    best: float | None = None
    five: float | None = None
    five_low: float | None = None
    """Low end of the 95 % interval of `five` over the items; None also where there is no such
    interval: the shift is too near 0 on the items."""
    every: float | None = None
    control: float | None = None
    nll_rise: float | None = None
    seeds_above: bool | None = None
    """Whether the best five of every seed remove more than its own control; None where the verdict
    does not say so."""

    def of_ceiling(self, part: float | None) -> float | None:
        """`part` as a part of the ceiling; None where either is unknown or nothing is removable."""
        if part is None or self.ceiling is None or self.ceiling <= 0:
            return None
        return part / self.ceiling

    def share_of_ceiling(self, part: float | None) -> float:
        """`of_ceiling` from 0 to 1. Nothing known is nothing removed. An item from which more is
        taken than its shift is further from the base's score, and counts against the part."""
        x = self.of_ceiling(part)
        return 0.0 if x is None else min(max(x, 0.0), 1.0)

    @property
    def above_control(self) -> bool | None:
        """Whether the best five remove more than the controls, in every seed, and more than nothing
        at 95 %; None where not measured."""
        if self.five is None or self.control is None:
            return None
        if self.five <= self.control or self.seeds_above is False:
            return False
        return None if self.five_low is None else self.five_low > 0
