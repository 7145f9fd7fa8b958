"""`latentwatch bench alignment`: every pair of tokenizers on every kind of text.

The trainer of the unigram tokenizer is not deterministic: the last digits vary from run to run.
"""

import platform
import random
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path

import tokenizers
from rich.console import Console
from rich.progress import track

from deploy.bench import results
from deploy.bench.alignment.measure import Tally, as_tokens, tally, tally_oracle
from deploy.bench.alignment.texts import TEXTS, chat, training_texts
from deploy.bench.alignment.trained import KINDS, save_trained
from deploy.bench.minilm import build_minilm
from deploy.demo.smollm2 import build_base
from dfc.alignment import read_chat, read_text
from dfc.engines.tokenizer import Tokenizer

REAL = ("SmolLM2", "MiniLM")
LOSSY = ("MiniLM", "wordpiece")
"""Tokenizers that replace words that they don't know: a pair with one can't be complete."""
TRAINED_ON = 1500
WHOLE = 100, 0
"""Texts of a kind and seed of the run that the docs show; what others find is kept beside it."""


def run(work: Path, out: Path, base: Path | None, texts: int, seed: int) -> None:
    """Measure, print a line per pair and kind, and keep the result."""
    readers = {**_real(work, base), **_trained(work, seed)}
    found: dict[tuple[str, str, str], Tally] = {}
    for kind in track(
        ("chat", *TEXTS), "kinds of text", console=Console(stderr=True), transient=True
    ):
        for (a, b), tallied in _kind(readers, kind, texts, f"{seed} {kind}").items():
            found[a, b, kind] = tallied
    lines = [
        {"base": a, "candidate": b, "kind": kind, **tallied.figures()}
        for (a, b, kind), tallied in sorted(found.items())
    ]
    total = {name: Tally() for name in ("all", "lossless", "real")}
    for (a, b, _), tallied in found.items():
        for name in _groups(a, b):
            total[name].add(tallied)
    for line in lines:
        results.print_line(line)
    summary = {
        **total["lossless"].figures(),
        "with_lossy_tokenizers": total["all"].figures(),
        "smollm2_minilm": total["real"].figures(),
    }
    made_with = {"seed": seed, "texts_per_kind": texts, "tokenizers": tokenizers.__version__}
    made_with["python"] = platform.python_version()
    name = "alignment" if (texts, seed) == WHOLE else "alignment-part"
    results.keep(out, name, {"summary": summary, "made_with": made_with, "lines": lines})
    results.print_line(summary)


def _groups(a: str, b: str) -> Iterable[str]:
    yield "all"
    if a not in LOSSY and b not in LOSSY:
        yield "lossless"
    if (a, b) == REAL:
        yield "real"


def _kind(
    readers: dict[str, Tokenizer], kind: str, n: int, seed: str
) -> dict[tuple[str, str], Tally]:
    r = random.Random(seed)
    decoders = {name: as_tokens(reader) for name, reader in readers.items()}
    found = {pair: Tally() for pair in combinations(readers, 2)}
    for _ in range(n):
        if kind == "chat":
            messages = chat(r)
            contents = [message["content"] for message in messages]
            readings = {name: read_chat(reader, messages) for name, reader in readers.items()}
        else:
            contents = [TEXTS[kind](r)]
            readings = {name: read_text(reader, contents[0]) for name, reader in readers.items()}
        # Algorithm 1 reads each content by itself: two templates have nothing else in common.
        parts = {name: [read_text(reader, c) for c in contents] for name, reader in readers.items()}
        for (a, b), whole in found.items():
            oracle = Tally()
            for left, right in zip(parts[a], parts[b], strict=True):
                oracle.add(tally_oracle(decoders[a], decoders[b], left, right))
            complete = oracle.oracle_complete == oracle.oracle_sequences
            oracle.oracle_sequences, oracle.oracle_complete = 1, int(complete)
            whole.add(oracle)
            whole.add(tally(readings[a], readings[b]))
    return found


def _real(work: Path, base: Path | None) -> dict[str, Tokenizer]:
    base, minilm = base or work / "base", work / "minilm"
    if not base.exists():
        build_base(base, work / "staging")
    if not minilm.exists():
        build_minilm(minilm, work / "staging")
    return {"SmolLM2": Tokenizer(base), "MiniLM": Tokenizer(minilm)}


def _trained(work: Path, seed: int) -> dict[str, Tokenizer]:
    texts = list(training_texts(seed, TRAINED_ON))
    directory = work / "tokenizers"
    return {kind: Tokenizer(save_trained(kind, texts, directory / kind)) for kind in KINDS}
