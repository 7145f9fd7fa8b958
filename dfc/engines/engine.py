"""The seam between the method and a language model: what an engine does, in plain types.

Layer ``l`` means the residual stream after block ``l`` (0-based) and before block ``l + 1``.
Position 0 of a document is an attention sink with a norm far above all others: it is never
harvested and never edited.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from torch import Tensor

from dfc.engines.tokenizer import Tokenizer

Progress = Callable[[int, int], None]
"""Called with (done, total) as work proceeds; the unit is documents or rows."""


class ScoreRow(NamedTuple):
    """A prompt and a completion whose log-probability is wanted, as token ids."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]


class Edit(NamedTuple):
    """What to do with one feature: gain -1 ablates it, gain +1 doubles it, offset 1 adds its
    natural maximum at every position."""

    feature: int
    """Row of the bank."""
    gain: float = 0.0
    offset: float = 0.0


class FeatureBank(NamedTuple):
    """Features of one model at one layer, in that model's raw residual units.

    The activation of feature k in state x is f = p * (p > threshold) with
    p = relu(x . encoder + bias); an edited state is x + (gain * f + offset * unit) * decoder,
    summed over the edits.
    """

    layer: int
    encoder_KD: Tensor
    bias_K: Tensor
    threshold_K: Tensor
    decoder_KD: Tensor
    unit_K: Tensor
    """Natural maximum: the 99.9th percentile of the non-zero activations."""


class EngineInfo(NamedTuple):
    """What a loaded model is."""

    architecture: str
    n_layers: int
    d_model: int
    dtype: str
    vocabulary: int
    tokenizer_digest: str
    """Equal digests mean that equal token ids mean equal text."""


@dataclass(frozen=True)
class Replay:
    """States after block ``layer`` for some rows, so that the blocks above can be run again and
    again.

    Engines subclass it; callers only hand it back to an engine of the same kind.
    """

    layer: int
    rows: tuple[ScoreRow, ...]


class Activations(NamedTuple):
    """Harvested states, one line per position from 1 on, in the order of the documents."""

    x_TD: Tensor
    """bfloat16, on the CPU."""
    document_T: Tensor
    position_T: Tensor
    token_T: Tensor
    """Token at the position, that is the last one the state has seen."""


class PathGradients(NamedTuple):
    """What moves a model's words between two states of its residual stream; float32, on the CPU."""

    gradient_ND: Tensor
    """Of the rows' weighted log-probability, at the state halfway."""
    difference_ND: Tensor
    """The second state minus the first."""
    second_ND: Tensor
    """The second state."""


class Reader(Protocol):
    """A model whose states can be read, a language model or an encoder of text."""

    info: EngineInfo
    tokenizer: Tokenizer

    def harvest(
        self, documents: Sequence[tuple[int, ...]], layer: int, progress: Progress | None = None
    ) -> Activations:
        """States after block ``layer`` at every position but the first of every document."""
        ...


class Engine(Reader, Protocol):
    """A language model that can be read, scored and steered. Token ids in, token ids out."""

    unused_weights: tuple[str, ...]
    """Weights of the checkpoint for which its architecture has no place: they are never run."""
    n_steered_positions: int
    """Positions that the edits of the latest call reached; a prompt shared by rows counts once."""

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        """Token ids of a conversation under the model's chat template, applied once."""
        ...

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Token ids of plain text, with no special tokens added."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of the tokens, special tokens included; bytes that are no text become U+FFFD."""
        ...

    def unembed(self, x_ND: Tensor) -> Tensor:
        """Logits [N, vocabulary], float32, of residual states after the last block: final norm,
        then head. Memory grows with N, so callers pass chunks."""
        ...

    def generate(
        self,
        prompts: Sequence[tuple[int, ...]],
        max_new_tokens: int,
        *,
        bank: FeatureBank | None = None,
        edits: Sequence[Sequence[Edit]] | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> list[tuple[int, ...]]:
        """New tokens of every prompt without the token that ended it; ``edits`` has one entry per
        prompt.

        Temperature 0 is greedy. Samples of a row depend on the seed and the row's number, not on
        the rows it shares a batch with.
        """
        ...

    def score(
        self,
        rows: Sequence[ScoreRow],
        *,
        bank: FeatureBank | None = None,
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[float]:
        """Mean log-probability per completion token, in nats; ``edits`` has one entry per row."""
        ...

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> Replay:
        """Run the blocks up to ``layer`` once and keep their states."""
        ...

    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        """``score`` that runs only the blocks above ``replay.layer``, with the same edits on every
        row.

        A replay of the other model patches that model's whole state into this one.
        """
        ...

    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        """Gradients halfway between two replays of the same rows at the same layer, one line per
        position that an edit may touch. The log-probability of each row, summed over its tokens,
        counts by its weight, or by 1.

        To first order ``gradient . difference``, summed, is what the rows gain on the way (one step
        of integrated gradients, Sundararajan et al. 2017). The replays come from models of one
        width and tokenizer.
        """
        ...
