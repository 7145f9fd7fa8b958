"""The causal figures of a method's directions: experiments, halves and controls of the diff."""

import torch

from alerts.causes.combine import combine
from alerts.causes.mediation import Mediator
from alerts.causes.pair import Pair
from alerts.causes.plan import CausalPlan
from alerts.causes.steering_bench import NeutralText, SteeringBench
from alerts.probes.halves import halves, thinned
from deploy.bench.rivals.paired import candidate_only, paired_engine
from deploy.bench.rivals.record import Mediated
from deploy.bench.rivals.rival import Case, Directions
from workers.shifted import shifted_suites
from workers.stages.steer import difference_sample, neutral_rows


class Mediators:
    """What is the same for all methods on one version: benches, neutral text, the difference."""

    def __init__(self, case: Case) -> None:
        context, layer = case.context, case.layer
        base, candidate = context.models["base"], context.models["candidate"]
        self._plan = CausalPlan(maximum_nll_rise=context.inputs.policy.maximum_nll_rise)
        models = Pair(paired_engine(base, base), paired_engine(candidate, base))
        neutral = neutral_rows(context)
        text = [NeutralText(models.candidate, neutral[start::2], layer) for start in (0, 1)]
        difference_ND = candidate_only(difference_sample(case.states))
        self._mediators: dict[str, Mediator] = {}
        for suite in shifted_suites(context, case.probe):
            half = halves(suite)
            if not half.filled:
                continue
            benches = [
                SteeringBench(models, thinned(part, items), layer)
                for part, items in (
                    (half.selection, self._plan.selection_items),
                    (half.report, self._plan.report_items),
                )
            ]
            if all(bench.shift > 0 for bench in benches):
                self._mediators[suite.behaviour] = Mediator(
                    benches[0],
                    benches[1],
                    text[0],
                    text[1],
                    difference_ND,
                    self._plan.maximum_nll_rise,
                )

    @torch.no_grad()
    def mediated(self, directions: Directions) -> dict[str, Mediated]:
        """By behaviour what the best direction, the best five and all of them remove."""
        plan, bank = self._plan, directions.bank
        rows = range(len(bank.bias_K))
        found = {}
        for behaviour, mediator in self._mediators.items():
            one = mediator.mediation(bank, rows[: plan.pool], rows, plan.controls, plan.seed)
            evidence = combine([one], mediator.report, plan.maximum_nll_rise)
            found[behaviour] = Mediated(
                ceiling=evidence.ceiling,
                best=evidence.mediated_best,
                five=evidence.mediated_five,
                everything=evidence.mediated_all,
                control_p95=evidence.control_p95,
                nll_rise=evidence.nll_rise,
            )
        return found
