"""One feature of a set by itself: taken away, written into the base, turned up and down."""

from collections.abc import Sequence
from typing import NamedTuple

from alerts.causes.chosen_controls import Drawn
from alerts.causes.mediation import Mediator, Trial
from alerts.causes.plan import CausalPlan
from alerts.causes.steering_bench import NeutralText
from alerts.evidence import DoseResponse
from alerts.records.feature import FeatureEffect
from dfc.engines.engine import Edit, FeatureBank


class FeatureExperiments(NamedTuple):
    """What the experiments on one behaviour have in common, for features of one bank."""

    behaviour: str
    bank: FeatureBank
    in_base: FeatureBank | None
    """The bank as it stands in the base; None where the base can't be edited alike."""
    mediator: Mediator
    base_text: NeutralText
    plan: CausalPlan

    def effect(self, row: int, ablation: Trial, draws: Sequence[Drawn] = ()) -> FeatureEffect:
        """Both directions of one feature: its ``ablation`` in the candidate, and added to the base.

        Without ``draws``, each of one direction, both effects stand without random directions.
        """
        mediator, plan = self.mediator, self.plan
        bearable = [
            (induced, edit)
            for edit in (Edit(row, offset=strength) for strength in plan.strengths)
            if self.in_base is not None
            and self.base_text.nll_rise(self.in_base, [edit]) <= plan.maximum_nll_rise
            and (induced := mediator.selection.induced(self.bank, [edit])) is not None
        ]
        _, addition = max(bearable, default=(None, None), key=lambda found: found[0] or 0.0)
        return FeatureEffect(
            behaviour=self.behaviour,
            ablation_removes=ablation.removed
            if ablation.nll_rise <= plan.maximum_nll_rise
            else None,
            addition_induces=mediator.report.induced(self.bank, [addition]) if addition else None,
            control_p95=mediator.most_removed(self.bank, draws) if draws else None,
            addition_control_p95=mediator.most_induced(
                self.bank, addition, plan.controls, plan.seed + 1
            )
            if addition and draws
            else None,
            nll_rise=ablation.nll_rise,
            strength=addition.offset if addition else None,
        )

    def dose_response(self, row: int, feature: str) -> DoseResponse:
        """The candidate's score as ``feature`` is turned down and up, beside random directions."""
        mediator, plan = self.mediator, self.plan
        controls = list(mediator.controls(self.bank, row, plan.dose_controls, plan.seed + 2))
        edits = [[Edit(row, gain=dose)] for dose in plan.doses]
        return DoseResponse(
            behaviour=self.behaviour,
            feature=feature,
            strengths=list(plan.doses),
            effects=[mediator.report.effect(self.bank, edit) for edit in edits],
            control_effects=[
                [mediator.report.effect(control, edit) for control in controls] for edit in edits
            ],
            nll_rises=[mediator.reported_text.nll_rise(self.bank, edit) for edit in edits],
        )
