"""`latentwatch bench compare`: every method on every version of the zoo, in the same run as ours.

A finding is an artifact of the store: a comparison that was killed goes on where it was, and
another version costs only itself.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

from alerts.verdict import Verdict
from alerts.verdict_in_words import by_weight
from deploy.bench.results import Figures, print_line
from deploy.bench.rivals.case import open_case
from deploy.bench.rivals.crosscoders import BatchTopKCrosscoder, L1Crosscoder
from deploy.bench.rivals.difference_lens import DifferenceLens
from deploy.bench.rivals.difference_sae import DifferenceSae
from deploy.bench.rivals.divergence import TokenDivergence
from deploy.bench.rivals.outputs import Outputs
from deploy.bench.rivals.probes import Probes
from deploy.bench.rivals.record import OURS, Compared, Finding, Mediated
from deploy.bench.rivals.report import summary
from deploy.bench.rivals.rival import Case, Rival
from deploy.bench.rivals.steering import Mediators
from deploy.bench.rivals.stock_phrases import NewStockPhrases
from deploy.bench.rivals.stored import keep_version
from deploy.bench.rivals.subjects import Subject, subjects
from dfc.canonical import digest_of
from workers.context import Context
from workers.diff import open_context, run_diff
from workers.inputs import load_inputs
from workers.keeping.sources import sources_digest
from workers.keeping.stage_keys import stage_code
from workers.keeping.store import LocalStore
from workers.progress import DiffProgress
from workers.recipe import recipe_digest

Shown = Callable[[], AbstractContextManager[DiffProgress]]


def rivals() -> list[Rival]:
    """All methods, the cheap ones first."""
    return [
        Probes(),
        Outputs(),
        NewStockPhrases(),
        TokenDivergence(),
        DifferenceLens(),
        DifferenceSae(),
        BatchTopKCrosscoder(),
        L1Crosscoder(),
    ]


def compare(work: Path, names: Sequence[str], out: Path, shown: Shown) -> Figures:
    """Compare on the built versions called `names` (all, where none is given).

    Each version is kept in `out` as soon as it is done, beside those that the same recipe and code
    have compared before. Returns the summary of all of these.
    """
    code = code_of_all()
    found: list[Compared] = []
    for subject in subjects(work, names):
        with shown() as progress:
            version = compare_one(subject, progress)
        print_line(version.model_dump(mode="json"))
        digest = recipe_digest(load_inputs(subject.settings.recipe).recipe)
        found = keep_version(out, version, recipe_digest=digest, code=code)
    return summary(found)


def code_of_all() -> str:
    """SHA-256 (hex) of the code of every method, ours too, and what runs it."""
    ours = sources_digest("workers.diff", "deploy.bench.rivals.compare")
    return digest_of([ours, stage_code(), *(_code(rival) for rival in rivals())])


def _code(rival: Rival) -> str:
    makes = (type(rival).__module__, "deploy.bench.rivals.case", "deploy.bench.rivals.steering")
    return sources_digest(*makes)


def compare_one(subject: Subject, progress: DiffProgress) -> Compared:
    """Our verdict on one version, then every method on what that left in the store."""
    version, job, settings, calibration = subject
    store = LocalStore(settings.store_dir)
    verdict = run_diff(job, settings, store, progress, calibration=calibration).verdict
    context = open_context(job, settings, store, progress)
    work = _Work(replace(context, shifted=verdict.shifted))
    return Compared(
        name=version.name,
        version=job.candidate.content_digest,
        kind=version.kind,
        half=version.half,
        expected=version.expected,
        findings={OURS: our_finding(verdict), **dict(work.findings(rivals()))},
    )


def our_finding(verdict: Verdict) -> Finding:
    """Our verdict in the form of the others: its own rule, and the time of all its stages."""
    flagged = [behaviour for behaviour in by_weight(verdict.behaviours) if behaviour.flagged]
    return Finding(
        score=None,
        flagged=None if verdict.verdict == "undecided" else verdict.verdict == "flagged",
        names=[behaviour.name for behaviour in flagged],
        figures={b.name: b.shift for b in verdict.behaviours if b.shift is not None},
        mediated={
            behaviour.name: Mediated(
                ceiling=behaviour.ceiling,
                best=behaviour.mediated_best,
                five=behaviour.mediated_five,
                everything=behaviour.mediated_all,
                control_p95=behaviour.mediated_control_p95,
                nll_rise=behaviour.nll_rise,
            )
            for behaviour in flagged
            if behaviour.ceiling is not None
        },
        seconds=sum(verdict.timings.values()),
        steering_seconds=None,
    )


class _Work:
    """The methods on one version. What they share is made when the first one needs it."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def findings(self, methods: Sequence[Rival]) -> Iterator[tuple[str, Finding]]:
        for rival in methods:
            self._context.progress.begin(rival.name)
            compute = partial(self._find, rival)
            artifact = self._context.shared(self._key(rival), Finding, compute)
            self._context.progress.end(rival.name, artifact.seconds, artifact.reused)
            yield rival.name, artifact.result

    @cached_property
    def _opened(self) -> tuple[Case, Mapping[str, float]]:
        return open_case(self._context)

    @cached_property
    def _mediators(self) -> Mediators:
        return Mediators(self._opened[0])

    def _find(self, rival: Rival, _: Path) -> Finding:
        case, stage_seconds = self._opened
        clock = self._context.clock
        start = clock()
        look = rival.look(case)
        looked = clock() - start
        mediated = steering = None
        if look.directions is not None:
            mediators = self._mediators
            start = clock()
            mediated = mediators.mediated(look.directions)
            steering = clock() - start
        return Finding(
            score=look.score,
            flagged=look.flagged,
            names=look.names,
            figures=look.figures,
            mediated=mediated,
            seconds=looked + sum(stage_seconds[stage] for stage in rival.stages),
            steering_seconds=steering,
        )

    def _key(self, rival: Rival) -> str:
        job, recipe = self._context.job, self._context.inputs.recipe
        shifted = self._context.shifted
        made_of = [rival.name, recipe_digest(recipe), shifted, _code(rival), stage_code()]
        pair = digest_of([job.base.content_digest, job.candidate.content_digest])
        return f"rivals/{pair}/{digest_of(made_of)}"
