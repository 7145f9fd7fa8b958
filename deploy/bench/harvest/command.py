"""`latentwatch bench harvest`: how fast states are read, and what a plain reading would cost."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from deploy.bench.bars import progress_bars
from deploy.bench.harvest.speed import Documents, Speed, rivals, speed
from deploy.bench.machine import made_with
from deploy.bench.results import Figures, keep, print_line
from dfc.corpus import bundled_texts, encode_corpus
from dfc.engines.transformers_engine import TransformersEngine
from dfc.threads import use_threads


class Size(NamedTuple):
    """How much is read, and how often."""

    tokens: int
    """Of the bundled corpus, in its order."""
    longest: int
    """Tokens of a document, at most."""
    rounds: int


FULL = Size(4_000, 512, 5)
SHORT = Size(400, 64, 2)


def run(size: Size, base: Path, out: Path | None) -> None:
    """Print one line of JSON about the checkpoint `base`, and keep the whole result in `out`."""
    threads = use_threads()
    engine = TransformersEngine(base)
    layer = engine.info.n_layers // 2 - 1
    documents = _documents(engine, size)
    tokens = sum(map(len, documents))
    with progress_bars() as bars:
        task = bars.add_task(f"{tokens} tokens, layer {layer}", total=size.rounds + 1)
        ways = rivals(base, documents, layer)
        found = speed(ways, tokens, size.rounds, progress=partial(bars.advance, task))
    summary = _summary(found)
    if out is not None:
        model = {"model": base.name, "layer": layer, "n_layers": engine.info.n_layers}
        keep(
            out,
            "harvest",
            {
                "summary": summary,
                "made_with": made_with(threads) | model | {"documents": len(documents)},
                "seconds": found.seconds,
            },
        )
    print_line(summary)


def _documents(engine: TransformersEngine, size: Size) -> Documents:
    documents: list[tuple[int, ...]] = []
    left = size.tokens
    for document in encode_corpus(engine, bundled_texts(), size.longest):
        if left <= 0:
            break
        documents.append(document)
        left -= len(document)
    return documents


def _summary(found: Speed) -> Figures:
    ratios = {way: found.times_as_fast_as(way) for way in ("truncated", "decoder", "full")}
    return {
        "benchmark": "harvest",
        "tokens": found.tokens,
        "rounds": len(found.seconds["harvest"]),
        "tokens_per_second": found.tokens_per_second("harvest"),
        **{f"{way}_tokens_per_second": found.tokens_per_second(way) for way in ratios},
        **{f"ratio_{way}": median(ratio) for way, ratio in ratios.items()},
        **{f"ratio_{way}_range": [min(ratio), max(ratio)] for way, ratio in ratios.items()},
    }
