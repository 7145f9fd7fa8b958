"""From what the stages found to the verdict and the evidence that a reviewer sees."""

from importlib import metadata
from math import inf
from typing import Any

from alerts.calibration import AgedCalibration, Standing, calibrated, standing
from alerts.evidence import (
    ControlReading,
    Controls,
    Evidence,
    FeatureExamples,
    ForkShown,
    ItemScore,
)
from alerts.forks import BEHAVIOUR as OWN_WORDS
from alerts.measured import MeasuredBehaviour, behaviour_row
from alerts.policy import Decision, decide, is_flagged
from alerts.verdict import Feature, FeatureEffect, OwnWords, RecipeSummary, StockPhrase, Verdict
from workers.across import across_caveats
from workers.findings import Findings
from workers.inputs import Inputs
from workers.job import Job, SideName
from workers.outcome import Outcome
from workers.recipe import recipe_digest
from workers.stages.describe import Description
from workers.stages.probe import score_digest

FORKS_SHOWN = 8
SHOWN = 3
"""Examples of each feature that a reviewer sees."""
_PACKAGES = ("latentwatch", "numpy", "safetensors", "scipy", "torch", "transformers")


def decide_diff(
    job: Job,
    inputs: Inputs,
    findings: Findings,
    failure: str | None = None,
    *,
    calibration: AgedCalibration | None = None,
) -> Outcome:
    """The verdict on `job` by the policy, and the evidence.

    `failure` says why the stages ended early. Then the candidate can't pass: it is flagged if what
    was measured by then is enough for that, else undecided.
    """
    nulls = _standing(job, inputs, calibration)
    measured = [
        calibrated(behaviour, nulls.scores.get(behaviour.name))
        for behaviour in (
            findings.probe.measured(inputs.behaviour_suites) if findings.probe else []
        )
    ]
    controls = Controls(
        base=_reading(inputs, findings, "base"), candidate=_reading(inputs, findings, "candidate")
    )
    features = _features(findings)
    causes = findings.causes.evidence if findings.causes else {}
    own_words = _own_words(findings)
    decision = _with_failure(
        decide(
            measured,
            inputs.policy,
            controls=controls,
            evidence=causes,
            features=features,
            own_words=own_words,
        ),
        failure,
    )
    verdict = Verdict(
        schema="latentwatch.verdict/1",
        line=job.line,
        base=job.base.for_verdict(),
        candidate=job.candidate.for_verdict(),
        recipe=RecipeSummary(
            digest=recipe_digest(inputs.recipe),
            layer=findings.layer.layer if findings.layer else None,
            tokens=findings.harvest.tokens if findings.harvest else None,
            seeds=list(inputs.recipe.seeds),
        ),
        verdict=decision.verdict,
        severity=decision.severity,
        reasons=decision.reasons,
        behaviours=[
            behaviour_row(
                behaviour, causes.get(behaviour.name), flagged=is_flagged(behaviour, inputs.policy)
            )
            for behaviour in measured
        ],
        own_words=own_words,
        features=features,
        timings=findings.seconds,
        versions={package: metadata.version(package) for package in _PACKAGES},
        calibration=nulls.summary,
        calibration_caveat=nulls.caveat,
    )
    return Outcome(verdict, _evidence(job, inputs, findings, controls, measured), failure)


def _standing(job: Job, inputs: Inputs, calibration: AgedCalibration | None) -> Standing:
    return standing(
        calibration,
        line=job.line,
        base_digest=job.base.content_digest,
        made_of={suite.behaviour: score_digest(suite) for suite in inputs.behaviour_suites},
        maximum_age_days=inputs.policy.maximum_calibration_age_days,
    )


def _with_failure(decision: Decision, failure: str | None) -> Decision:
    if failure is None:
        return decision
    if decision.verdict == "flagged":
        return decision._replace(reasons=[*decision.reasons, failure])
    return Decision("undecided", None, [failure, *decision.reasons])


def _reading(inputs: Inputs, findings: Findings, name: SideName) -> ControlReading:
    answers, probe = findings.answers, findings.probe
    own = None if answers is None else (answers.base if name == "base" else answers.candidate)
    return ControlReading(
        capability_accuracy=probe.accuracy(
            inputs.control_suites, name, inputs.policy.maximum_unscored
        )
        if probe
        else None,
        mean_answer_length=own.mean_length if own else None,
        refusal_rate=own.refusal_rate if own else None,
    )


def _own_words(findings: Findings) -> OwnWords | None:
    causes = findings.causes.evidence.get(OWN_WORDS) if findings.causes else None
    if findings.forks is None or findings.forks.suite is None:
        return None
    forks = findings.forks.forks
    return OwnWords(
        n_forks=len(forks),
        divergence=sum(fork.divergence for fork in forks) / len(forks),
        n_answers=len(findings.answers.candidate.answers) if findings.answers else 0,
        phrases=[
            StockPhrase(text=phrase.text, n_answers=len(phrase.answers))
            for phrase in findings.forks.phrases
        ],
        phrase_share=findings.forks.phrase_share,
        ceiling=causes.ceiling if causes else None,
        mediated_best=causes.mediated_best if causes else None,
        mediated_five=causes.mediated_five if causes else None,
        mediated_all=causes.mediated_all if causes else None,
        mediated_control_p95=causes.control_p95 if causes else None,
        nll_rise=causes.nll_rise if causes else None,
    )


def _features(findings: Findings) -> list[Feature]:
    if findings.screened is None:
        return []
    effects = findings.causes.effects if findings.causes else {}
    described = findings.descriptions.features if findings.descriptions else {}
    short_list = sorted(
        findings.screened.short_list, key=lambda feature: _rank(effects.get(feature.id, []))
    )
    return [
        Feature(
            id=feature.id,
            side=feature.side,
            density=feature.density,
            delta_energy=feature.delta_energy,
            exclusivity=feature.exclusivity,
            seed_agreement=feature.seed_agreement,
            **_words(described.get(feature.id)),
            effects=effects.get(feature.id, []),
            reach=findings.causes.reach.get(feature.id, []) if findings.causes else [],
        )
        for feature in short_list
    ]


def _words(description: Description | None) -> dict[str, Any]:
    """The part of a feature that is for reading; nothing where it was not described."""
    if description is None:
        return {"top_tokens": [], "examples": []}
    return {
        "label": description.label,
        "top_tokens": description.top_tokens,
        "raised_tokens": description.raised_tokens,
        "lowered_tokens": description.lowered_tokens,
        "template_share": description.template_share,
        "examples": ["".join(e.tokens) for e in description.examples[:SHOWN]],
    }


def _rank(effects: list[FeatureEffect]) -> float:
    """Sorts features by how much their ablation removes at best; those never ablated come last."""
    return min(
        (-e.ablation_removes for e in effects if e.ablation_removes is not None), default=inf
    )


def _evidence(
    job: Job,
    inputs: Inputs,
    findings: Findings,
    controls: Controls,
    measured: list[MeasuredBehaviour],
) -> Evidence:
    described, causes = findings.descriptions, findings.causes
    return Evidence(
        patch_profile=findings.layer.points if findings.layer else [],
        dose_responses=causes.dose_responses if causes else [],
        answers=findings.side_by_side.answers if findings.side_by_side else [],
        forks=_forks(findings),
        item_scores=_item_scores(inputs, findings),
        controls=controls,
        examples=[
            FeatureExamples(feature=name, examples=description.examples[:SHOWN])
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
    return caveats + across_caveats(findings)
