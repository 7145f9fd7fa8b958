"""The engine on top of transformers: one model, on one device, in this process."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from dfc.engines.batching import token_budget_batches
from dfc.engines.decoder_stack import DecoderStack
from dfc.engines.engine import (
    Activations,
    Edit,
    Engine,
    EngineInfo,
    FeatureBank,
    PathGradients,
    Progress,
    Replay,
    ScoreRow,
)
from dfc.engines.generation import decode_batch, greedy, sampler
from dfc.engines.harvesting import document_states, gather_activations
from dfc.engines.limits import Limits
from dfc.engines.live_edits import LiveEdits
from dfc.engines.model_loading import load_model
from dfc.engines.parity import check_truncated
from dfc.engines.precision import native_dtype
from dfc.engines.scoring import Captured, Scorer, StateReplay
from dfc.engines.tokenizer import Tokenizer
from dfc.errors import InputError, SteeringError
from dfc.perturbation import Perturbation, perturb
from dfc.threads import use_threads

TOKENS_ON_CPU, TOKENS_ON_GPU = 1024, 4096
"""Padded tokens of a batch that is only read: on a GPU they fill the arithmetic units; on a CPU
those of a larger batch leave its caches, and a smaller one pads less."""
TOKENS_IN_CACHE = 16384
"""Padded tokens of a decoding batch, prompts and answers: decoding is bound by memory traffic."""


class TransformersEngine(Engine):
    """A local checkpoint with safetensors weights.

    ``dtype`` is that of weights and states, by default the device's own (``native_dtype``).
    ``threads`` sets torch's thread count for the process; None leaves it as it is.
    ``perturbation`` makes it a noisy copy of the checkpoint's model.
    """

    def __init__(
        self,
        path: str | Path,
        dtype: torch.dtype | None = None,
        threads: int | None = None,
        device: str = "cpu",
        perturbation: Perturbation | None = None,
    ) -> None:
        if threads is not None:
            use_threads(threads)
        path = Path(path)
        dtype = native_dtype(device) if dtype is None else dtype
        model, self.unused_weights = load_model(path, dtype, device)
        if perturbation is not None:
            perturb(model, perturbation)
        self.tokenizer = Tokenizer(path)
        self._stack = DecoderStack(model)
        self._stop = _stop_tokens(model, self.tokenizer)
        self._scorer = Scorer(self._stack)
        self._harvest_proven: set[int] = set()
        self.tokens_at_once = TOKENS_ON_CPU if device == "cpu" else TOKENS_ON_GPU
        self.n_steered_positions = 0
        config = model.config.get_text_config()
        self.info = EngineInfo(
            architecture=type(model).__name__,
            n_layers=self._stack.n_layers,
            d_model=int(config.hidden_size),
            dtype=str(dtype).removeprefix("torch."),
            vocabulary=int(model.get_input_embeddings().num_embeddings),
            tokenizer_digest=self.tokenizer.digest(),
        )
        self._limits = Limits(
            self.info.n_layers,
            self.info.d_model,
            self.info.vocabulary,
            getattr(config, "max_position_embeddings", None),
        )

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        return self.tokenizer.encode_chat(messages, add_generation_prompt=add_generation_prompt)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self.tokenizer.encode_text(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens)

    @torch.no_grad()
    def harvest(
        self, documents: Sequence[tuple[int, ...]], layer: int, progress: Progress | None = None
    ) -> Activations:
        states = self._document_states(documents, layer)
        return gather_activations(documents, self.info.d_model, states, progress)

    @torch.no_grad()
    def unembed(self, x_ND: Tensor) -> Tensor:
        x_ND = x_ND.to(self._stack.model.device, self._stack.model.dtype)
        normed_ND = self._stack.upper(x_ND[None], self.info.n_layers - 1)[0]
        return self._stack.logits(normed_ND).float().cpu()

    @torch.no_grad()
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
        self._limits.check_prompts(prompts, max_new_tokens)
        edits = self._limits.check_edits(bank, edits, len(prompts))
        self.n_steered_positions = 0
        answers: list[tuple[int, ...]] = [()] * len(prompts)
        done = 0
        lengths = [len(prompt) + max_new_tokens for prompt in prompts]
        for batch in token_budget_batches(lengths, TOKENS_IN_CACHE):
            live = LiveEdits(self._stack, bank, [edits[n] for n in batch]) if bank else None
            choose = sampler(temperature, seed, batch, max_new_tokens) if temperature else greedy
            texts = decode_batch(
                self._stack,
                [prompts[n] for n in batch],
                max_new_tokens,
                self.tokenizer.size,
                self._stop,
                choose,
                live,
            )
            for number, text in zip(batch, texts, strict=True):
                answers[number] = text
            self.n_steered_positions += live.n_steered if live else 0
            done += len(batch)
            if progress is not None:
                progress(done, len(prompts))
        return answers

    @torch.no_grad()
    def score(
        self,
        rows: Sequence[ScoreRow],
        *,
        bank: FeatureBank | None = None,
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[float]:
        edits = self._limits.check_edits(bank, edits, len(rows))
        layer = self.info.n_layers - 1 if bank is None else bank.layer
        groups = [tuple(row) for row in edits]
        return self._score(self._captured(rows, layer, groups), layer, bank, edits)

    @torch.no_grad()
    def capture(self, rows: Sequence[ScoreRow], layer: int) -> StateReplay:
        batches = tuple(self._captured(rows, layer))
        return StateReplay(layer, tuple(rows), batches)

    @torch.no_grad()
    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        batches = self._batches(replay)
        n_rows = len(replay.rows)
        if bank is not None and bank.layer != replay.layer:
            raise SteeringError(
                f"the bank edits layer {bank.layer}, the replay holds layer {replay.layer}"
            )
        row_edits = self._limits.check_edits(bank, [edits] * n_rows if edits else None, n_rows)
        return self._score(batches, replay.layer, bank, row_edits)

    @torch.no_grad()
    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        if (first.rows, first.layer) != (second.rows, second.layer):
            raise InputError("two replays of other rows or layers have no states in common")
        pairs = zip(self._batches(first), self._batches(second), strict=True)
        weight_R = torch.ones(len(second.rows)) if weights is None else torch.tensor(weights)
        found = list(self._scorer.gradients(pairs, second.layer, weight_R))
        gradient_ND, difference_ND, second_ND = map(torch.cat, zip(*found, strict=True))
        return PathGradients(gradient_ND, difference_ND, second_ND)

    def _batches(self, replay: Replay) -> tuple[Captured, ...]:
        """The replay's states, if they fit this model, on its device."""
        if not isinstance(replay, StateReplay):
            raise InputError("this replay was captured by another kind of engine; capture it again")
        x_BTD = replay.batches[0].x_BTD
        if (x_BTD.shape[-1], x_BTD.dtype) != (self.info.d_model, self._stack.model.dtype):
            raise InputError(
                f"the replay holds {x_BTD.dtype} states of width {x_BTD.shape[-1]}; this model "
                f"needs {self.info.dtype} of width {self.info.d_model}: load both models alike"
            )
        return tuple(batch.to(self._stack.model.device) for batch in replay.batches)

    def _captured(
        self, rows: Sequence[ScoreRow], layer: int, groups: Sequence[Hashable] | None = None
    ) -> Iterator[Captured]:
        self._limits.check_layer(layer)
        self._limits.check_rows(rows)
        return self._scorer.capture(rows, layer, self.tokens_at_once, groups)

    def _score(
        self,
        batches: Iterable[Captured],
        layer: int,
        bank: FeatureBank | None,
        edits: Sequence[Sequence[Edit]],
    ) -> list[float]:
        scores = self._scorer.score(batches, layer, bank, edits)
        self.n_steered_positions = self._scorer.n_steered
        return scores

    def _document_states(
        self, documents: Sequence[tuple[int, ...]], layer: int
    ) -> Iterator[tuple[int, Tensor]]:
        self._limits.check_layer(layer)
        self._limits.check_documents(documents)

        def states(tokens_BT: Tensor) -> Tensor:
            tokens_BT = tokens_BT.to(self._stack.model.device)
            x_BTD = self._stack.lower(tokens_BT, layer)
            if layer not in self._harvest_proven:
                check_truncated(self._stack, tokens_BT, x_BTD, layer)
                self._harvest_proven.add(layer)
            return x_BTD

        return document_states(documents, self.tokens_at_once, states)


def _stop_tokens(model: PreTrainedModel, tokenizer: Tokenizer) -> frozenset[int]:
    """Every id that ends an answer: of the generation settings, which may list several, and of
    the tokenizer."""
    listed = model.generation_config.eos_token_id
    ids = listed if isinstance(listed, list) else [listed]
    return frozenset(i for i in [*ids, tokenizer.end_of_sequence] if i is not None)
