"""Which suites show a shift that has to be explained."""

from alerts.deciding.policy import is_flagged
from alerts.probes.suite import Suite
from workers.inputs import Inputs
from workers.stages.probe import Probe


def shifted_suites(inputs: Inputs, probe: Probe) -> list[Suite]:
    """The suites whose behaviour the policy flags, for in the others there is nothing to explain:
    those items of each that apply to both models."""
    suites = inputs.behaviour_suites
    return [
        probe.applicable(suite)
        for suite, behaviour in zip(suites, probe.measured(suites), strict=True)
        if is_flagged(behaviour, inputs.policy)
    ]
