"""The two models of a diff, loaded when they are first needed and once only."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

# Read when transformers is imported: whatever a checkpoint's files name, nothing is fetched.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"

from dfc.allocator import keep_memory
from dfc.engines.device import native_device
from dfc.engines.divided_engine import DividedEngine
from dfc.engines.engine import Engine
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import DfcError
from dfc.perturbation import Perturbation
from dfc.threads import use_threads
from dfc.vllm.engine import VllmEngine
from dfc.vllm.settings import BESIDE_TRANSFORMERS
from monitor.checkpoints.checkpoint import inspect_checkpoint, link_files
from monitor.checkpoints.identity import verify_unchanged
from monitor.errors import CheckpointChangedError, CheckpointRefusedError
from monitor.sources.directory import list_directory
from workers.errors import ModelLoadError
from workers.job import Job, Side, SideName
from workers.recipe import EngineName


class Models:
    """Loads the models of `job` and makes sure that they are the ones whose digests were taken."""

    def __init__(self, job: Job, engine: EngineName = "transformers") -> None:
        self._job = job
        self._engine = engine
        self._loaded: dict[SideName, Engine] = {}
        keep_memory()
        # Set by whoever knows better than a look at the load, such as a test or a scheduler.
        chosen = os.environ.get("OMP_NUM_THREADS")
        use_threads(int(chosen) if chosen and chosen.isdigit() else None)

    def __getitem__(self, name: SideName) -> Engine:
        """The model `name`.

        Raises CheckpointChangedError when its files are no longer those of the job, and
        ModelLoadError when it can't be loaded or has no chat template.
        """
        if name not in self._loaded:
            self._loaded[name] = self._opened(name)
        return self._loaded[name]

    def noisy_base(self, perturbation: Perturbation) -> Engine:
        """A noisy copy of the base, loaded anew with every call."""
        noisy = partial(_reading, device=_device("base"), perturbation=perturbation)
        return _open(self._job.base, noisy)

    def _opened(self, name: SideName) -> Engine:
        side = self._job.side(name)
        reading = _open(side, partial(_reading, device=_device(name)))
        if self._engine == "transformers":
            return reading
        return DividedEngine(reading, lambda: _open(side, _writing))


def _device(name: SideName) -> str:
    return native_device(("base", "candidate").index(name))


def _reading(directory: Path, device: str, perturbation: Perturbation | None = None) -> Engine:
    engine = TransformersEngine(directory, device=device, perturbation=perturbation)
    engine.encode_chat([{"role": "user", "content": "Hello"}], add_generation_prompt=True)
    return engine


def _writing(directory: Path) -> Engine:
    return VllmEngine(directory, settings=BESIDE_TRANSFORMERS)


def _open(side: Side, load: Callable[[Path], Engine]) -> Engine:
    with _only_safe_files(side) as directory:
        try:
            engine = load(directory)
        except DfcError as error:
            verify_unchanged(side.path, side.content_digest)
            message = str(error).replace(str(directory), side.locator)
            raise ModelLoadError(message) from error
    verify_unchanged(side.path, side.content_digest)
    return engine


@contextmanager
def _only_safe_files(side: Side) -> Iterator[Path]:
    """A directory that shows a loader the files of `side` that count, and no others."""
    try:
        checkpoint = inspect_checkpoint(side.path, list_directory(side.path, root=Path("/")))
    except CheckpointRefusedError as error:  # it was none when its digests were taken
        raise CheckpointChangedError(
            f"{side.locator}: changed since its digest was taken: {error}"
        ) from error
    with tempfile.TemporaryDirectory(prefix="latentwatch-") as name:
        link_files(checkpoint, Path(name))
        yield Path(name)
