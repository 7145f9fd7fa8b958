"""Probes alone: the shifts of the diff under its policy, without any cause."""

from alerts.deciding.policy import is_flagged
from deploy.bench.rivals.rival import Case, Look


class Probes:
    """Flags the behaviours whose shift the policy flags. Blind to what no suite asks."""

    name = "probes alone"
    stages = ("probe",)

    def look(self, case: Case) -> Look:
        inputs = case.context.inputs
        measured = case.probe.measured(inputs.behaviour_suites)
        flagged = [b for b in measured if is_flagged(b, inputs.policy)]
        flagged.sort(key=lambda behaviour: behaviour.shift or 0.0, reverse=True)
        shifts = {b.name: b.shift for b in measured if b.shift is not None}
        return Look(None, bool(flagged), [behaviour.name for behaviour in flagged], shifts)
