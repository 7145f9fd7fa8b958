"""The engine on top of vLLM: one model, in processes of its own, many rows at once."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, GenerationConfig

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
from dfc.engines.harvesting import gather_activations
from dfc.engines.limits import Limits
from dfc.engines.precision import native_dtype
from dfc.engines.steering import count_steered
from dfc.engines.tokenizer import Tokenizer
from dfc.errors import InputError, ModelError, SteeringError
from dfc.vllm.batch import Answer, Request, Runtime
from dfc.vllm.boot_checks import check_at_boot
from dfc.vllm.checkpoint import check_checkpoint
from dfc.vllm.local_runtime import LocalRuntime
from dfc.vllm.plans import Draws, Plan
from dfc.vllm.remote_runtime import RemoteRuntime, Server
from dfc.vllm.replay import RowStates
from dfc.vllm.rows import recorded, run_steered
from dfc.vllm.settings import DEFAULT, VllmSettings


class VllmEngine(Engine):
    """A local checkpoint with safetensors weights.

    ``dtype`` is that of weights and states, by default the device's own. With ``server`` a running
    vLLM that has the same checkpoint does the work, and has a dtype and sizes of its own. Raises
    ModelError when the checkpoint can't be loaded safely, and ParityError or SteeringError when one
    of the boot checks fails: then this model does not run in vLLM as it does in transformers.
    """

    def __init__(
        self,
        path: str | Path,
        dtype: torch.dtype | None = None,
        settings: VllmSettings = DEFAULT,
        server: Server | None = None,
    ) -> None:
        path = Path(path)
        self.unused_weights = check_checkpoint(path)
        self.tokenizer = Tokenizer(path)
        config = _config(path)
        self._stop = _stop_tokens(path, config, self.tokenizer)
        self._id = secrets.token_hex(8)
        self.n_steered_positions = 0
        self._runtime: Runtime
        if server is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
            dtype = native_dtype(device) if dtype is None else dtype
            longest = getattr(config, "max_position_embeddings", None) or settings.context
            self._runtime = LocalRuntime(path, dtype, settings, min(settings.context, longest))
        else:
            self._runtime = RemoteRuntime(server, path)
        facts = self._runtime.facts()
        self.info = EngineInfo(
            architecture=facts.architecture,
            n_layers=facts.n_layers,
            d_model=facts.d_model,
            dtype=facts.dtype,
            vocabulary=facts.vocabulary,
            tokenizer_digest=self.tokenizer.digest(),
        )
        # vLLM writes a token after every row, even where none is wanted.
        self._limits = Limits(
            self.info.n_layers, self.info.d_model, self.info.vocabulary, facts.context - 1
        )
        try:
            check_at_boot(self._runtime, self.info, path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End vLLM's processes and free their memory; a server goes on."""
        self._runtime.close()

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        return self.tokenizer.encode_chat(messages, add_generation_prompt=add_generation_prompt)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return self.tokenizer.encode_text(text)

    def decode(self, tokens: Sequence[int]) -> str:
        return self.tokenizer.decode(tokens)

    def harvest(
        self, documents: Sequence[tuple[int, ...]], layer: int, progress: Progress | None = None
    ) -> Activations:
        self._limits.check_layer(layer)
        self._limits.check_documents(documents)
        states = enumerate(recorded(self._runtime, documents, documents, layer))
        return gather_activations(documents, self.info.d_model, states, progress)

    def unembed(self, x_ND: Tensor) -> Tensor:
        return self._runtime.unembed(x_ND)

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
        padded = self.info.vocabulary > self.tokenizer.size
        requests = [
            Request(
                tokens,
                Plan(number, len(tokens)),
                max_new_tokens=max_new_tokens,
                draws=Draws(temperature, seed, number, self.tokenizer.size)
                if temperature
                else None,
                stop=self._stop,
                writable=self.tokenizer.size if padded else None,
            )
            for number, tokens in enumerate(prompts)
        ]
        answers = run_steered(self._runtime, requests, bank, edits, progress)
        texts = [self._text(answer) for answer in answers]
        # What is written last is never read, and a token that ends the answer is no part of it.
        fed = [min(len(text), max_new_tokens - 1) for text in texts]
        self.n_steered_positions = count_steered(
            edits, [len(p) - 1 + n for p, n in zip(prompts, fed, strict=True)]
        )
        return texts

    def score(
        self,
        rows: Sequence[ScoreRow],
        *,
        bank: FeatureBank | None = None,
        edits: Sequence[Sequence[Edit]] | None = None,
    ) -> list[float]:
        self._limits.check_rows(rows)
        edits = self._limits.check_edits(bank, edits, len(rows))
        return self._score(rows, bank, edits)

    def capture(self, rows: Sequence[ScoreRow], layer: int) -> RowStates:
        self._limits.check_layer(layer)
        self._limits.check_rows(rows)
        whole = [(*row.prompt, *row.completion) for row in rows]
        # The last token of a row is not read by any other.
        states = tuple(recorded(self._runtime, whole, [tokens[:-1] for tokens in whole], layer))
        return RowStates(layer, tuple(rows), self._id, states)

    def score_from(
        self, replay: Replay, *, bank: FeatureBank | None = None, edits: Sequence[Edit] = ()
    ) -> list[float]:
        states = self._states(replay)
        n_rows = len(replay.rows)
        if bank is not None and bank.layer != replay.layer:
            raise SteeringError(
                f"the bank edits layer {bank.layer}, the replay holds layer {replay.layer}"
            )
        row_edits = self._limits.check_edits(bank, [edits] * n_rows if edits else None, n_rows)
        return self._score(
            replay.rows, bank, row_edits, None if states.origin == self._id else states
        )

    def gradients_between(
        self, first: Replay, second: Replay, weights: Sequence[float] | None = None
    ) -> PathGradients:
        raise InputError("vLLM has no gradients; take them with the transformers engine")

    def _score(
        self,
        rows: Sequence[ScoreRow],
        bank: FeatureBank | None,
        edits: Sequence[Sequence[Edit]],
        patch: RowStates | None = None,
    ) -> list[float]:
        requests = []
        for number, row in enumerate(rows):
            tokens = (*row.prompt, *row.completion)
            plan = Plan(number, len(tokens) - 1, patch=None if patch is None else patch.layer)
            requests.append(Request(tokens, plan, scored=True))
        loaded = () if patch is None else patch.states
        answers = run_steered(self._runtime, requests, bank, edits, loaded=loaded)
        self.n_steered_positions = _steered_once(rows, edits)
        scores = [
            sum(answer.scored[-len(row.completion) :]) / len(row.completion)
            for row, answer in zip(rows, answers, strict=True)
        ]
        if not np.isfinite(scores).all():
            raise ModelError("log-probabilities are not finite; the weights or the edit overflow")
        return scores

    def _states(self, replay: Replay) -> RowStates:
        """The replay, if its states fit this model."""
        if not isinstance(replay, RowStates):
            raise InputError("this replay was captured by another kind of engine; capture it again")
        x_TD = replay.states[0]
        dtype = str(x_TD.dtype).removeprefix("torch.")
        if (x_TD.shape[-1], dtype) != (self.info.d_model, self.info.dtype):
            raise InputError(
                f"the replay holds {dtype} states of width {x_TD.shape[-1]}; this model needs "
                f"{self.info.dtype} of width {self.info.d_model}: load both models alike"
            )
        return replay

    def _text(self, answer: Answer) -> tuple[int, ...]:
        ended = answer.tokens[-1:] and answer.tokens[-1] in self._stop
        return answer.tokens[:-1] if ended else answer.tokens


def _steered_once(rows: Sequence[ScoreRow], edits: Sequence[Sequence[Edit]]) -> int:
    """Steered positions of scored rows; a prompt that rows of equal edits share counts once."""
    seen: set[tuple[tuple[int, ...], tuple[Edit, ...]]] = set()
    steered = 0
    for row, row_edits in zip(rows, edits, strict=True):
        if not row_edits:
            continue
        steered += len(row.completion) - 1
        if (row.prompt, tuple(row_edits)) not in seen:
            seen.add((row.prompt, tuple(row_edits)))
            steered += len(row.prompt) - 1
    return steered


def _config(path: Path) -> object:
    try:
        config = AutoConfig.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{path} cannot be loaded: {error}") from error
    return config.get_text_config()


def _stop_tokens(path: Path, config: object, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Every id that ends an answer: of the generation settings, which may list several, and of
    the tokenizer."""
    try:
        listed = GenerationConfig.from_pretrained(path, local_files_only=True).eos_token_id
    except OSError:  # older checkpoints have none of their own
        listed = getattr(config, "eos_token_id", None)
    ids = listed if isinstance(listed, list) else [listed]
    return tuple(sorted({i for i in [*ids, tokenizer.end_of_sequence] if i is not None}))
