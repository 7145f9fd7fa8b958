"""How completely two readings of one text are paired, and whether Algorithm 1 says the same."""

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from deploy.bench.alignment.algorithm_1 import MAX_WINDOW, Tokens, align_windows
from deploy.bench.exact_interval import exact_interval
from deploy.bench.results import Figures
from dfc.alignment import LocatedTokens, align
from dfc.engines.tokenizer import Tokenizer


@dataclass
class Tally:
    """Counts over texts of one kind, between one pair of tokenizers."""

    sequences: int = 0
    aligned: int = 0
    """Without a place where both models have more than 16 tokens of content in a row that have no
    partner."""
    windowed: int = 0
    """Without a place where either has: 60 dashes may be one token of the other, which loses
    nothing, but a window of 16 is too short for them."""
    tokens: int = 0
    """Tokens of content, of the model that has fewer of them."""
    kept: int = 0
    oracle_sequences: int = 0
    oracle_complete: int = 0
    oracle_kept: int = 0
    oracle_pairs: int = 0
    """Pairs of Algorithm 1 up to where it gives up."""
    oracle_agreed: int = 0

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def figures(self) -> Figures:
        return {
            "sequences": self.sequences,
            "aligned_share": share(self.aligned, self.sequences),
            "windowed_share": share(self.windowed, self.sequences),
            "tokens_kept_share": share(self.kept, self.tokens),
            "oracle_agreement": share(self.oracle_agreed, self.oracle_pairs),
            "oracle_aligned_share": share(self.oracle_complete, self.oracle_sequences),
            "oracle_tokens_kept_share": share(min(self.oracle_kept, self.tokens), self.tokens),
        }


def share(k: int, n: int) -> Figures | None:
    """k of n with its interval; None of none. Tokens of one text are not independent, so an
    interval over tokens is too narrow."""
    return {"share": k / n, "n": n, **exact_interval(k, n)} if n else None


def tally(base: LocatedTokens, candidate: LocatedTokens) -> Tally:
    pairs = align(base, candidate)
    left, right = _ranks(base), _ranks(candidate)
    places = [(left[i], right[j]) for i, j in pairs if i in left and j in right]
    edges = [(-1, -1), *places, (len(left), len(right))]
    gaps = [(i - h - 1, j - g - 1) for (h, g), (i, j) in pairwise(edges)]
    return Tally(
        sequences=1,
        aligned=int(max(min(gap) for gap in gaps) <= MAX_WINDOW),
        windowed=int(max(max(gap) for gap in gaps) <= MAX_WINDOW),
        tokens=min(len(left), len(right)),
        kept=len(places),
    )


def tally_oracle(
    base: Tokens, candidate: Tokens, left: LocatedTokens, right: LocatedTokens
) -> Tally:
    """Algorithm 1 on a text, and how many of its pairs are found without it."""
    windows = align_windows(base._replace(ids=left.tokens), candidate._replace(ids=right.tokens))
    return Tally(
        oracle_sequences=1,
        oracle_complete=int(windows.complete),
        oracle_kept=len(windows.pairs),
        oracle_pairs=len(windows.pairs),
        oracle_agreed=len(set(windows.pairs) & set(align(left, right))),
    )


def as_tokens(tokenizer: Tokenizer) -> Tokens:
    """A tokenizer for Algorithm 1, which decodes the same few tokens over and over."""
    decode = cache(tokenizer.decode)
    return Tokens((), lambda ids: decode(tuple(ids)), tokenizer.special_tokens)


def _ranks(reading: LocatedTokens) -> dict[int, int]:
    """Positions of the tokens of content, numbered."""
    content = [n for n, end in enumerate(reading.ends_N) if end is not None]
    return {n: rank for rank, n in enumerate(content)}
