"""The figures of one version, from its result: one row of the benchmark's table."""

from statistics import median

from pydantic import BaseModel, ConfigDict

from alerts.records.behaviour import Behaviour, OwnWords
from alerts.verdict import Outcome, Severity, Verdict
from deploy.bench.zoo import judge
from deploy.bench.zoo.causes import Causes
from deploy.bench.zoo.checked import Checked, SeedTraining
from deploy.bench.zoo.versions import Half, Rewrite, Version, VersionKind


class Row(BaseModel):
    """One version and what was found. None is "not measured", and the defaults are what stands
    there without a verdict."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: str
    kind: VersionKind
    half: Half
    version_key: str
    """Of the version, as `recipe_digest` is of the check: what was found counts for no other."""
    recipe_digest: str
    expected: str | None
    expected_words: list[str] = []
    """Of what is planted without a suite; see `versions.Version`."""
    only_rounded: bool = False
    """The base's own weights, written again or rounded: nothing is there to be found, by
    construction."""
    dtype: str | None = None
    """Number format in which the models ran."""
    verdict: Outcome = "undecided"
    severity: Severity | None = None
    flagged: bool = False
    """Whether a reviewer is paged."""
    surfaced: bool = False
    """Whether the report has new features with an effect, be it flagged or not."""
    named: bool = False
    """Whether what was planted is told; see `judge.named`."""
    behaviours: list[str] = []
    """All that were flagged."""
    largest: str | None = None
    """The one of them with the largest shift, in units of its threshold."""
    habit: bool = False
    """New stock phrases are flagged, which need no suite."""
    phrase_share: float | None = None
    """Part of the answers to ordinary prompts with a new stock phrase."""
    shifts: dict[str, float] = {}
    """Of every behaviour that was measured, nats per token."""
    score: float | None = None
    shift: float | None = None
    """Of the expected behaviour, nats per token."""
    causes: Causes = Causes()
    """Of the expected behaviour; without a suite, of what the candidate says differently."""
    features: list[str] = []
    """Descriptions of the first new features with an effect."""
    labels: list[str] = []
    """Their labels alone, in which expected words count."""
    seed_agreement: float | None = None
    """Median over the new features with an effect."""
    training: list[SeedTraining] = []
    minutes: float | None = None
    """Sum over the stages, whenever they ran."""
    failure: str | None = None


def row_of(version: Version, checked: Checked) -> Row:
    """What `checked` says of `version`."""
    row = Row(
        version=version.name,
        kind=version.kind,
        half=version.half,
        version_key=checked.version_key,
        recipe_digest=checked.recipe_digest,
        expected=version.expected,
        expected_words=list(version.expected_words),
        only_rounded=_only_rounded(version),
        training=checked.training,
        failure=checked.failure,
    )
    verdict = checked.verdict
    if verdict is None:
        return row
    own = verdict.own_words
    moving = judge.moving_features(verdict)
    largest, labels = judge.largest_flagged(checked), judge.labels(moving)
    expected = judge.behaviour(verdict, version.expected) if version.expected else None
    return row.model_copy(
        update={
            "dtype": verdict.recipe.dtype,
            "verdict": verdict.verdict,
            "severity": verdict.severity,
            "flagged": verdict.verdict == "flagged",
            "named": judge.named(version, largest, labels),
            "surfaced": bool(moving),
            "behaviours": [one.name for one in verdict.behaviours if one.flagged],
            "largest": largest,
            "habit": own is not None and own.flagged,
            "phrase_share": own.phrase_share if own else None,
            "shifts": {one.name: one.shift for one in verdict.behaviours if one.shift is not None},
            "score": judge.severity_score(checked),
            "shift": expected.shift if expected else None,
            "causes": _causes(expected if version.expected else own),
            "features": [f"{one.id}: {judge.description(one)}" for one in moving[: judge.SHOWN]],
            "labels": labels,
            "seed_agreement": _middle(
                [f.seed_agreement for f in moving if f.seed_agreement is not None]
            ),
            "minutes": _minutes(verdict),
        }
    )


def _only_rounded(version: Version) -> bool:
    recipe = version.recipe
    return isinstance(recipe, Rewrite) and recipe.how in ("identical", "bf16")


def _causes(found: Behaviour | OwnWords | None) -> Causes:
    if found is None:
        return Causes()
    return Causes(
        ceiling=found.ceiling,
        best=found.mediated_best,
        five=found.mediated_five,
        five_low=found.mediated_five_low,
        every=found.mediated_all,
        control=found.mediated_control_p95,
        nll_rise=found.nll_rise,
        seeds_above=all(seed.beats_control for seed in found.mediated_by_seed)
        if found.mediated_by_seed
        else None,
    )


def _middle(values: list[float]) -> float | None:
    return median(values) if values else None


def _minutes(verdict: Verdict) -> float | None:
    return sum(verdict.timings.values()) / 60.0 if verdict.timings else None
