"""One statement from several seeds: what features and controls remove over all items, the worst
cost, and whether every seed says so by itself."""

from collections.abc import Sequence

import numpy as np

from alerts.causes.mediation import Mediation, Trial
from alerts.causes.steering_bench import SteeringBench
from alerts.deciding.measured import CausalEvidence
from alerts.records.behaviour import SeedMediation


def combine(
    found: Sequence[Mediation], report: SteeringBench, maximum_nll_rise: float
) -> CausalEvidence:
    """What the seeds' edits and controls remove, over all their items; the worst seed for costs.

    Controls are put together as the edits are: so where every seed's best five remove more than its
    own control, all of them together do, too. That the seeds agree is the stricter statement, and
    holds by chance no more often than that of any one seed.

    An edit that costs too much on neutral text in any seed is void: None, not a smaller number. The
    interval of the best five's part is over the items of ``report``: it holds for these features,
    which were chosen on other items.
    """

    def together(trials: list[Trial]) -> float | None:
        if any(trial.nll_rise > maximum_nll_rise for trial in trials):
            return None
        return report.part(np.stack([trial.removed_I for trial in trials]))

    def borne(trial: Trial) -> float | None:
        return None if trial.nll_rise > maximum_nll_rise else trial.removed

    chosen = all(one.rows for one in found)
    five = together([one.five for one in found]) if chosen else None
    controls = [one.control for one in found if one.control is not None]
    controlled = chosen and len(controls) == len(found)
    return CausalEvidence(
        ceiling=report.ceiling(),
        mediated_best=together([one.best for one in found]) if chosen else None,
        mediated_five=five,
        mediated_all=together([one.everything for one in found]),
        control_p95=report.part(np.stack([control * report.shift_I for control in controls]))
        if controlled
        else None,
        nll_rise=max(one.five.nll_rise for one in found) if chosen else None,
        seeds_agree=all(
            one.five.removed > control for one, control in zip(found, controls, strict=True)
        )
        if controlled and len(found) > 1
        else None,
        five_interval=None
        if five is None
        else report.interval(np.stack([one.five.removed_I for one in found])),
        n_items=report.n_items,
        by_seed=tuple(
            SeedMediation(
                best=borne(one.best) if one.rows else None,
                five=borne(one.five) if one.rows else None,
                all=borne(one.everything),
                control_p95=one.control,
            )
            for one in found
        ),
    )
