"""Which behaviours the policy flags, beside what counts of the line's calibration."""

from collections.abc import Mapping

from alerts.deciding.calibration import calibrated
from alerts.deciding.measured import MeasuredBehaviour
from alerts.deciding.nulls import ScoreNulls
from alerts.deciding.policy import is_flagged
from workers.inputs import Inputs
from workers.stages.probe import Probe


def measured_among(
    inputs: Inputs, probe: Probe, nulls: Mapping[str, ScoreNulls]
) -> list[MeasuredBehaviour]:
    """All behaviours, each beside what of the line's `nulls` counts for it."""
    return [
        calibrated(behaviour, nulls.get(behaviour.name))
        for behaviour in probe.measured(inputs.behaviour_suites)
    ]


def flagged_behaviours(
    inputs: Inputs, probe: Probe, nulls: Mapping[str, ScoreNulls]
) -> tuple[str, ...]:
    """Those that the policy flags: in the others there is nothing to explain."""
    return tuple(
        behaviour.name
        for behaviour in measured_among(inputs, probe, nulls)
        if is_flagged(behaviour, inputs.policy)
    )
