"""Training interrupted in the real stages, on a tiny model: it must end as if undisturbed.

The stages before it are computed once and handed to every schedule, so that a schedule costs the
training and what follows.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from alerts.verdict import Verdict
from deploy.bench.tiny_model import save, tiny_model, tiny_tokenizer
from monitor.database.opening import open_database
from monitor.database.schema import Diff, DiffState
from monitor.jobs.reconcile import reconcile
from monitor.on_demand.comparison import prepare
from monitor.settings import Settings, load_settings
from workers.dispatch.claim import present_recipe
from workers.dispatch.service import COMPARE_COMMAND
from workers.dispatch.supervised import run_due
from workers.dispatch.workplace import Workplace

RECIPE = {
    "suites": ["sycophancy", "capability"],
    "layer": 1,
    "seeds": [0],
    "tokens": 600,
    "max_prompts": 6,
    "answer_tokens": 6,
    "dfc": {
        "shared": 32,
        "base_exclusive": 8,
        "candidate_exclusive": 8,
        "k": 4,
        "k_exclusive": 2,
        "steps": 600,
        "batch": 32,
        "checkpoint_every": 5,
    },
}
LATER_SECONDS = 3600.0
"""By which a second try is due."""


class Trained(NamedTuple):
    """What an uninterrupted diff leaves, and must be left after any interruption."""

    crosscoders: dict[str, bytes]
    """The tensors, by the path of their file."""
    verdict: Verdict


def interrupted_as_undisturbed(directory: Path, count: int) -> dict[str, bool]:
    """For each of the first `count` interruptions, whether training ended bit for bit as without,
    with the same verdict.

    All processes get one thread: each would take as many as cores are idle when it begins, and the
    last digit of a sum depends on their number.
    """
    os.environ["OMP_NUM_THREADS"] = "1"
    tokenizer = tiny_tokenizer()
    pair = [
        save(directory / name, tiny_model(change=change), tokenizer)
        for name, change in (("base", 0.0), ("candidate", 0.2))
    ]
    undisturbed_at = directory / "undisturbed"
    undisturbed = _Diff(undisturbed_at, pair).finish()
    equal = {}
    for name, interrupt in list(INTERRUPTIONS.items())[:count]:
        place = directory / name.replace(" ", "-")
        shutil.copytree(undisturbed_at / "store", place / "store")
        for done in (place / "store/artifacts/diffs").glob("*/*"):
            if done.name.startswith(("train", "screen", "steer", "side_by_side", "describe")):
                shutil.rmtree(done)
        diff = _Diff(place, pair)
        interrupt(diff)
        if not diff.is_saved():
            raise RuntimeError(f"{name}: came too early or too late, no training was saved")
        equal[name] = diff.finish() == undisturbed
    return equal


class _Diff:
    """The comparison of `pair`, with everything in `directory`."""

    def __init__(self, directory: Path, pair: list[Path]) -> None:
        self.settings: Settings = load_settings(data_dir=directory, recipe=RECIPE)
        self.sessions = open_database(self.settings.database_url)
        base, candidate = pair
        comparison = prepare(
            self.sessions,
            self.settings,
            candidate,
            str(base),
            None,
            present_recipe(self.settings),
            time.time(),
        )
        assert comparison.diff_id is not None
        self.diff_id = comparison.diff_id

    def run(self, must_stop: Callable[[], bool] = lambda: False, later: float = 0.0) -> None:
        """Claim and supervise in this process, as the pool process of a worker does."""
        place = Workplace(
            self.sessions,
            self.settings,
            COMPARE_COMMAND,
            must_stop,
            "chaos",
            lambda: time.time() + later,
        )
        run_due(place, self.diff_id)

    def is_saved(self) -> bool:
        """Whether a state of the training is on the disk."""
        work = self.settings.store_dir / "work"
        return any(work.glob("diffs/*/train-0/*/training/state.json"))

    def finish(self) -> Trained:
        """What it ends with once the reconciler has seen to a worker that died."""
        with self.sessions.begin() as session:
            reconcile(session, {}, time.time())
        self.run(later=LATER_SECONDS)
        with self.sessions() as session:
            row = session.get_one(Diff, self.diff_id)
        if row.state != DiffState.DONE:
            raise RuntimeError(f"the comparison is {row.state}: {row.error}")
        artifacts = self.settings.store_dir / "artifacts"
        crosscoders = {
            str(path.relative_to(artifacts)): path.read_bytes()
            for path in artifacts.glob("diffs/*/train-0/**/*.safetensors")
        }
        if not crosscoders:
            raise RuntimeError("the training left no tensors")
        verdict = Verdict.model_validate_json(row.verdict or "")
        return Trained(crosscoders, verdict.model_copy(update={"timings": {}}))


def _told_to_stop(diff: _Diff) -> None:
    diff.run(must_stop=diff.is_saved)


def _killed(diff: _Diff, whom: Callable[[int], int]) -> None:
    """Supervise in a child; once training is saved, kill the process that `whom` makes of the
    child's id."""
    child = os.fork()
    if child == 0:
        diff.sessions.kw["bind"].dispose(close=False)
        diff.run()
        os._exit(0)
    while not diff.is_saved():
        time.sleep(0.005)
    os.kill(whom(child), signal.SIGKILL)
    os.waitpid(child, 0)


def _comparing(supervisor: int) -> int:
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return int(children[0])


INTERRUPTIONS: dict[str, Callable[[_Diff], None]] = {
    "comparing process killed in training": partial(_killed, whom=_comparing),
    "SIGTERM in training": _told_to_stop,
    "supervising process killed in training": partial(_killed, whom=lambda child: child),
}
