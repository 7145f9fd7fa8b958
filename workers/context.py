"""What every stage of one diff works with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dfc.activation_cache import ActivationCache
from dfc.engines.engine import Progress
from workers.corpora import Corpora
from workers.inputs import Inputs
from workers.job import Job
from workers.keeping.artifact import Artifact, ResultT, computed_once
from workers.keeping.stage_keys import stage_digest
from workers.keeping.store import Store
from workers.models import Models
from workers.progress import DiffProgress

Clock = Callable[[], float]
"""Seconds since any fixed time; only differences count."""


@dataclass(frozen=True)
class Context:
    """One diff while it is worked on."""

    job: Job
    inputs: Inputs
    corpora: Corpora
    models: Models
    store: Store
    cache: ActivationCache
    progress: DiffProgress
    clock: Clock
    training_processes: int = 1
    """`limits.training_processes`."""
    shifted: tuple[str, ...] | None = None
    """Behaviours that the policy flags; None until the models are probed."""

    def artifact(
        self, stage: str, kind: type[ResultT], compute: Callable[[Path], ResultT], part: str = ""
    ) -> Artifact[ResultT]:
        """The result of a stage of this diff, computed by `compute` unless it is there.

        `part` tells the results of one stage apart, where it has several.
        """
        return computed_once(self.store, self._key(stage, part), kind, compute, self.clock)

    def shared(
        self, key: str, kind: type[ResultT], compute: Callable[[Path], ResultT]
    ) -> Artifact[ResultT]:
        """A result that other diffs with one of these checkpoints can use too."""
        return computed_once(self.store, f"shared/{key}", kind, compute, self.clock)

    def work(self, stage: str, part: str = "") -> Path:
        """Where a stage keeps what has to survive a kill until its artifact is complete."""
        return self.store.work(self._key(stage, part))

    def end_work(self, stage: str, part: str = "") -> None:
        self.store.end_work(self._key(stage, part))

    def steps(self, what: str) -> Progress:
        """A callback for (done, total) of `what` in the running stage."""
        return lambda done, total: self.progress.step(what, done, total)

    def _key(self, stage: str, part: str) -> str:
        made_by = stage_digest(stage, self.inputs.recipe, self.shifted)
        return f"diffs/{self.job.pair_digest}/{stage}{part}/{made_by}"
