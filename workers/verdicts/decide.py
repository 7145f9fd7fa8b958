"""From what the stages found to the verdict and the evidence that a reviewer sees."""

from importlib import metadata

from alerts.deciding.calibration import AgedCalibration, Standing, standing
from alerts.deciding.measured import behaviour_row
from alerts.deciding.policy import Decision, decide, is_flagged, least_effect
from alerts.evidence import ControlReading, Controls
from alerts.verdict import RecipeSummary, Verdict
from dfc.engines.device import native_device
from dfc.engines.precision import native_dtype
from workers.flagged import measured_among
from workers.inputs import Inputs
from workers.item_scores import score_digest
from workers.job import Job, SideName
from workers.recipe import recipe_digest
from workers.verdicts.evidence_records import evidence_of
from workers.verdicts.feature_records import features_of, own_words_of
from workers.verdicts.findings import Findings
from workers.verdicts.outcome import Outcome

_PACKAGES = ("latentwatch", "numpy", "safetensors", "scipy", "torch", "transformers")


def decide_diff(
    job: Job,
    inputs: Inputs,
    nulls: Standing,
    findings: Findings,
    failure: str | None = None,
) -> Outcome:
    """The verdict on `job` by the policy and what counts of the line's calibration, and the
    evidence.

    `failure` says why the stages ended early. Then the candidate can't pass: it is flagged if what
    was measured by then is enough for that, else undecided.
    """
    measured = measured_among(inputs, findings.probe, nulls.scores) if findings.probe else []
    controls = Controls(
        base=_reading(inputs, findings, "base"), candidate=_reading(inputs, findings, "candidate")
    )
    features = features_of(findings)
    causes = findings.causes.evidence if findings.causes else {}
    own_words = own_words_of(findings, inputs.policy)
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
            dtype=str(native_dtype(native_device())).removeprefix("torch."),
        ),
        verdict=decision.verdict,
        severity=decision.severity,
        reasons=decision.reasons,
        behaviours=[
            behaviour_row(
                behaviour,
                causes.get(behaviour.name),
                flagged=is_flagged(behaviour, inputs.policy),
                least_effect=least_effect(behaviour, inputs.policy),
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
    return Outcome(verdict, evidence_of(job, inputs, findings, controls, measured), failure)


def standing_of(job: Job, inputs: Inputs, calibration: AgedCalibration | None) -> Standing:
    """What of the line's calibration counts for `job`."""
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
        answered=own.answered if own else None,
    )
