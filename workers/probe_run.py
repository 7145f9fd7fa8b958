"""One suite on one checkpoint or two: what `latentwatch probes run` does.

Checkpoints are read as in a check: their files are inspected, and loaded as those that they were
when their digest was taken. Nothing is kept and no database is needed.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from alerts.chat_endpoint import ChatEndpoint, EndpointError, Message, ReadT
from alerts.plain_text import strip_controls
from alerts.probes.knowledge import facts, not_known
from alerts.probes.pairwise_judge import Judged, Pair, judge
from alerts.probes.probe import item_scores, suite_rows
from alerts.probes.suite import Suite
from alerts.probes.suite_run import Judgements, Named, SuiteRun, judged_items, suite_run
from dfc.engines.engine import Engine
from dfc.engines.tokenizer import Tokenizer
from dfc.errors import DfcError
from monitor.checkpoints.checkpoint import inspect_checkpoint, link_files
from monitor.checkpoints.strict_json import read_json_object
from monitor.errors import CheckpointRefusedError
from workers.errors import InputsError, ModelLoadError
from workers.job import Job, Side, SideName, side_of
from workers.models import Models
from workers.progress import DiffProgress


class Generation(NamedTuple):
    """How both models' own answers are made and judged."""

    max_new_tokens: int
    judge: ChatEndpoint | None
    """None asks nobody; the answers are shown all the same."""
    total_seconds: float
    """After which no further question is asked."""


@contextmanager
def tokenizer_of(path: Path) -> Iterator[Tokenizer]:
    """The tokenizer of the checkpoint at `path`. Raises a LatentwatchError."""
    with _naming(path), tempfile.TemporaryDirectory(prefix="latentwatch-") as name:
        link_files(inspect_checkpoint(path), Path(name))
        try:
            yield Tokenizer(Path(name))
        except DfcError as error:
            raise ModelLoadError(str(error).replace(name, str(path))) from error


def context_of(path: Path) -> int | None:
    """Tokens that the checkpoint at `path` sees at once; None where its configuration does not
    say."""
    config = read_json_object(path / "config.json")
    text = config.get("text_config", config)
    context = text.get("max_position_embeddings") if isinstance(text, dict) else None
    return context if isinstance(context, int) else None


def run_suite(
    suite: Suite,
    candidate: Path,
    base: Path | None,
    generation: Generation | None,
    progress: DiffProgress,
    clock: Callable[[], float] = time.monotonic,
) -> SuiteRun:
    """Scores of `suite`, and with `generation` judgements on both models' answers, which needs a
    base. Raises a LatentwatchError where a checkpoint can't be loaded or the suite not be read."""
    sides: dict[SideName, Side] = {} if base is None else {"base": _side(base)}
    sides["candidate"] = _side(candidate)
    models = Models(Job(None, sides.get("base", sides["candidate"]), sides["candidate"]))
    with _suite_problems(suite):
        scores = {name: _scores(models[name], suite, name, progress) for name in sides}
        unknown = _not_known(suite, models, list(sides), progress)
        judgements = (
            None if generation is None else _judged(suite, models, generation, progress, clock)
        )
    named = {
        name: Named(digest=side.content_digest, locator=side.locator)
        for name, side in sides.items()
    }
    return suite_run(suite, named, scores, unknown, judgements)


def _not_known(
    suite: Suite, models: Models, names: Sequence[SideName], progress: DiffProgress
) -> dict[str, list[SideName]]:
    """By the id of each item that does not apply: the models that do not know its fact."""
    asked = facts(suite)
    found: dict[str, list[SideName]] = {}
    if asked is not None:
        for name in names:
            for item in not_known(asked, _scores(models[name], asked, name, progress)):
                found.setdefault(item, []).append(name)
    return found


def _scores(engine: Engine, suite: Suite, name: str, progress: DiffProgress) -> list[float]:
    what = f"{name}: facts" if suite.role == "control" else f"{name}: {suite.behaviour}"
    progress.step(what, 0, len(suite.items))
    scores = item_scores(suite, engine.score(suite_rows(engine, suite)))
    progress.step(what, len(suite.items), len(suite.items))
    return scores.tolist()


def _judged(
    suite: Suite,
    models: Models,
    generation: Generation,
    progress: DiffProgress,
    clock: Callable[[], float],
) -> Judgements:
    names: list[SideName] = ["base", "candidate"]
    answers = {
        name: _answers(models[name], suite, generation.max_new_tokens, name, progress)
        for name in names
    }
    ask = None
    if generation.judge is not None:
        ask = _Until(generation.judge, clock() + generation.total_seconds, clock).ask
    judged: list[Judged] = []
    for n, item in enumerate(suite.items):
        progress.step("judge", n, len(suite.items))
        pair = Pair(item.id, item.variants[0], answers["base"][n], answers["candidate"][n])
        judged.append(judge(pair, suite.description, ask))
    name = None if generation.judge is None else generation.judge.model
    return judged_items(suite, name, judged)


def _answers(
    engine: Engine, suite: Suite, max_new_tokens: int, name: str, progress: DiffProgress
) -> Sequence[str]:
    """The greedy answer to each item's first variant, with its opening."""
    prompts, openings = [], []
    for variant in (item.variants[0] for item in suite.items):
        messages = [message.model_dump() for message in variant.messages]
        prompt = engine.encode_chat(messages, add_generation_prompt=True)
        prompts.append(prompt + (engine.encode_text(variant.opening) if variant.opening else ()))
        openings.append(variant.opening)

    def report(done: int, total: int) -> None:
        progress.step(f"{name}: answers", done, total)

    texts = engine.generate(prompts, max_new_tokens, progress=report)
    return [
        strip_controls(opening + engine.decode(tokens))
        for opening, tokens in zip(openings, texts, strict=True)
    ]


class _Until(NamedTuple):
    """Asks `endpoint` until the time is over."""

    endpoint: ChatEndpoint
    deadline: float
    clock: Callable[[], float]

    def ask(self, messages: Sequence[Message], read: Callable[[str], ReadT]) -> ReadT:
        if self.clock() > self.deadline:
            raise EndpointError("the time for questions was over")
        return read(self.endpoint.ask(messages))


def _side(path: Path) -> Side:
    path = path.resolve()
    with _naming(path):
        return side_of(path)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say in a refusal which checkpoint is meant."""
    try:
        yield
    except CheckpointRefusedError as error:
        raise CheckpointRefusedError(f"{path}: {error}") from error


@contextmanager
def _suite_problems(suite: Suite) -> Iterator[None]:
    """Say in an error of the engine that the suite is the reason."""
    try:
        yield
    except (DfcError, ValueError) as error:
        raise InputsError(
            f"suite {suite.behaviour} can't be read by this model: {error}; "
            "`latentwatch probes lint --model` names the items"
        ) from error
