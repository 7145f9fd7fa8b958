"""From what the stages found to the evidence that the report draws."""

from alerts.deciding.measured import MeasuredBehaviour
from alerts.evidence import Controls, Evidence, FeatureExamples, ForkShown, ItemScore
from alerts.probes.forks import BEHAVIOUR as OWN_WORDS
from alerts.wording import number
from workers.inputs import Inputs
from workers.job import Job
from workers.stages.answers import Answers
from workers.stages.attribute import Attribution
from workers.verdicts.across import across_caveats
from workers.verdicts.feature_records import EXAMPLES_SHOWN
from workers.verdicts.findings import Findings

FORKS_SHOWN = 8


def evidence_of(
    job: Job,
    inputs: Inputs,
    findings: Findings,
    controls: Controls,
    measured: list[MeasuredBehaviour],
) -> Evidence:
    """What the report draws beside the verdict."""
    described, causes = findings.descriptions, findings.causes
    return Evidence(
        patch_profile=findings.layer.points if findings.layer else [],
        dose_responses=causes.dose_responses if causes else [],
        answers=findings.side_by_side.answers if findings.side_by_side else [],
        forks=_forks(findings),
        item_scores=_item_scores(inputs, findings),
        controls=controls,
        examples=[
            FeatureExamples(feature=name, examples=description.examples[:EXAMPLES_SHOWN])
            for name, description in (described.features if described else {}).items()
        ],
        training=[run.summary for run in findings.runs],
        maximum_nll_rise=inputs.policy.maximum_nll_rise,
        caveats=_caveats(job, findings),
    )


def _forks(findings: Findings) -> list[ForkShown]:
    return [
        ForkShown(
            prompt=fork.messages[-1]["content"],
            opening=fork.opening,
            base=fork.base,
            candidate=fork.candidate,
            divergence=fork.divergence,
        )
        for fork in (findings.forks.forks if findings.forks else [])[:FORKS_SHOWN]
    ]


def _item_scores(inputs: Inputs, findings: Findings) -> list[ItemScore]:
    if findings.probe is None:
        return []
    rows = []
    for suite in inputs.behaviour_suites:
        probe = findings.probe.suites[suite.behaviour]
        for item, base, candidate in zip(suite.items, probe.base, probe.candidate, strict=True):
            unknown = probe.not_known_to.get(item.id, [])
            rows.append(
                ItemScore(
                    behaviour=suite.behaviour,
                    item=item.id,
                    template=item.template,
                    base=None if unknown else base,
                    candidate=None if unknown else candidate,
                    not_known_to=unknown,
                )
            )
    return rows


def _caveats(job: Job, findings: Findings) -> list[str]:
    caveats = []
    if job.probe_only:
        caveats.append("The weights are equal, so no crosscoder was trained: only files differ.")
    if findings.nothing_to_diff:
        caveats.append(
            "The weights differ, but not in anything that was computed: both models have the same "
            "scores, answers and states to the last digit. No crosscoder was trained."
        )
    if findings.undescribed is not None:
        caveats.append(f"The features have no labels and no examples. {findings.undescribed}")
    if findings.answers is not None:
        caveats += unused_caveats(findings.answers.base, findings.answers.candidate)
    return caveats + attribution_caveats(findings.attribution) + across_caveats(findings)


def unused_caveats(base: Answers, candidate: Answers) -> list[str]:
    """What to know where a checkpoint has weights that were never run."""
    return [
        f"{len(unused)} of the {name}'s weights have no place in its architecture "
        f"({', '.join(unused[:3])}{', ...' if len(unused) > 3 else ''}): they were not compared, "
        "and software that uses them may behave otherwise."
        for name, unused in (("base", base.unused_weights), ("candidate", candidate.unused_weights))
        if unused
    ]


def attribution_caveats(attribution: Attribution | None) -> list[str]:
    """What to know where the gradients fail to account for what the candidate's answers gain, to a
    half of it; less than a nat over all answers is no gain to account for."""
    if attribution is None or OWN_WORDS not in attribution.asked:
        return []
    gained, attributed, _ = attribution.asked[OWN_WORDS]
    if abs(attributed - gained) <= max(gained, 1.0) / 2:
        return []
    return [
        f"The candidate's own answers gain {number(gained)} nats by its states, of which gradients "
        f"account for {number(attributed)}: its first features may not be those that move its "
        "words."
    ]
