"""What a model can work on, and clear refusals of everything else."""

from collections.abc import Sequence
from typing import NamedTuple

from dfc.engines.engine import Edit, FeatureBank, ScoreRow
from dfc.errors import InputError, SteeringError


class Limits(NamedTuple):
    """Sizes of a model against which every call is checked."""

    n_layers: int
    d_model: int
    vocabulary: int
    context: int | None
    """Longest sequence in tokens, None when the configuration does not say."""

    def check_layer(self, layer: int) -> None:
        if not 0 <= layer < self.n_layers:
            raise InputError(f"layer {layer} does not exist; this model has 0..{self.n_layers - 1}")

    def check_documents(self, documents: Sequence[Sequence[int]]) -> None:
        self._check_texts("document", documents, 0)

    def check_prompts(self, prompts: Sequence[Sequence[int]], new_tokens: int) -> None:
        """Prompts with room for ``new_tokens`` more."""
        if new_tokens < 1:
            raise InputError(f"{new_tokens} new tokens were asked for; ask for at least one")
        self._check_texts("prompt", prompts, new_tokens)

    def check_rows(self, rows: Sequence[ScoreRow]) -> None:
        if not rows:
            raise InputError("no rows to score; pass at least one")
        for number, (prompt, completion) in enumerate(rows):
            if not prompt or not completion:
                part = "completion" if prompt else "prompt"
                raise InputError(f"row {number} has an empty {part}; both need at least one token")
            self._check_tokens(f"row {number}", (*prompt, *completion), 0)

    def check_edits(
        self,
        bank: FeatureBank | None,
        edits: Sequence[Sequence[Edit]] | None,
        n_rows: int,
    ) -> Sequence[Sequence[Edit]]:
        """One list of edits per row, empty ones when there are none."""
        if bank is None:
            if edits is not None and any(edits):
                raise SteeringError("edits without a bank; pass the bank whose features they name")
            return [()] * n_rows
        self.check_layer(bank.layer)
        width = bank.decoder_KD.shape[1]
        if width != self.d_model:
            raise SteeringError(f"the bank's width is {width}, the model's {self.d_model}")
        if edits is None:
            return [()] * n_rows
        if len(edits) != n_rows:
            raise SteeringError(f"{len(edits)} lists of edits for {n_rows} rows; pass one per row")
        return edits

    def _check_texts(self, name: str, texts: Sequence[Sequence[int]], new_tokens: int) -> None:
        if not texts:
            raise InputError(f"no {name}s; pass at least one")
        for number, text in enumerate(texts):
            if not text:
                raise InputError(f"{name} {number} is empty; it needs at least one token")
            self._check_tokens(f"{name} {number}", text, new_tokens)

    def _check_tokens(self, name: str, tokens: Sequence[int], new_tokens: int) -> None:
        length = len(tokens) + new_tokens
        if self.context is not None and length > self.context:
            raise InputError(
                f"{name} needs {length} tokens, the model can see {self.context}; cut it"
            )
        if min(tokens) < 0 or max(tokens) >= self.vocabulary:
            raise InputError(
                f"{name} has token ids outside 0..{self.vocabulary - 1}; encode it with "
                "this model's tokenizer"
            )
