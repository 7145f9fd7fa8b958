"""One model in two engines: vLLM writes many rows at once, transformers does the rest."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

from torch import Tensor

from dfc.engines.engine import (
    Activations,
    Edit,
    Engine,
    FeatureBank,
    PathGradients,
    Progress,
    Replay,
    ScoreRow,
)
from dfc.errors import ModelError


class DividedEngine(Engine):
    """``reading`` harvests, scores, replays from a layer and has gradients: vLLM would run every
    row whole, and has no noisy copies, whose scores must come from where the model's own come from.
    ``writing`` is opened when it is first needed: it takes long, and as much memory again.

    Raises ModelError there when the two are not the same model.
    """

    def __init__(self, reading: Engine, writing: Callable[[], Engine]) -> None:
        self._reading = reading
        self._open = writing
        self._latest = reading
        self.info = reading.info
        self.tokenizer = reading.tokenizer
        self.unused_weights = reading.unused_weights

    @property
    def n_steered_positions(self) -> int:  # type: ignore[override]
        return self._latest.n_steered_positions

    @cached_property
    def _writing(self) -> Engine:
        writing = self._open()
        if writing.info != self.info:
            raise ModelError(
                f"the engines of one model disagree on what it is: {self.info} and {writing.info}"
            )
        return writing

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        return self._reading.encode_chat(messages, add_generation_prompt=add_generation_prompt)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self._reading.encode_text(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return self._reading.decode(tokens)

    def harvest(
        self, documents: Sequence[tuple[int, ...]], layer: int, progress: Progress | None = None
    ) -> Activations:
        return self._reading.harvest(documents, layer, progress)

    def unembed(self, x_ND: Tensor) -> Tensor:
        return self._reading.unembed(x_ND)

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
        self._latest = self._writing
        return self._writing.generate(
            prompts,
            max_new_tokens,
            bank=bank,
            edits=edits,
            temperature=temperature,
            seed=seed,
            progress=progress,
        )

    def score(
        self,
        rows: Sequence[ScoreRow],
        *,
        bank: FeatureBank | None = None,
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[float]:
        self._latest = self._reading
        return self._reading.score(rows, bank=bank, edits=edits)

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> Replay:
        return self._reading.capture(rows, layer)

    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        self._latest = self._reading
        return self._reading.score_from(replay, bank=bank, edits=edits)

    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        return self._reading.gradients_between(first, second, weights)
