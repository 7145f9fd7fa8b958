"""How much is tried in the causal experiments."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CausalPlan:
    """How much is tried. Of n controls one more draw exceeds the largest in 1 of n + 1 cases."""

    controls: int = 19
    """Draws of random directions."""
    pool: int = 16
    """Features per seed from which the best five are chosen."""
    selection_items: int = 16
    """Items on which features and strengths are chosen, at most."""
    strengths: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5)
    """Additions to the base, in units of a feature's natural maximum."""
    doses: tuple[float, ...] = (-1.0, -0.5, 0.5, 1.0, 2.0)
    """Gains on the best feature's own contribution in the candidate."""
    report_items: int = 24
    """Items on which effects are reported, at most."""
    dose_controls: int = 3
    """Random directions per dose."""
    maximum_nll_rise: float = 0.05
    """An edit that raises the loss on neutral text by more is void, nats per token."""
    seed: int = 0
    """Of the random directions."""
