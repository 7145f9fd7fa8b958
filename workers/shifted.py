"""The suites of what has shifted, and so has to be explained.

Apart from what decides that, which may change without any stage being run again.
"""

from alerts.probes.suite import Suite
from workers.context import Context
from workers.stages.probe import Probe


def shifted_suites(context: Context, probe: Probe) -> list[Suite]:
    """Those items of each that apply to both models."""
    assert context.shifted is not None, "the models are not probed yet"
    return [
        probe.applicable(suite)
        for suite in context.inputs.behaviour_suites
        if suite.behaviour in context.shifted
    ]
