"""Stands for vLLM where it is not installed: the same instrument on a model of transformers, one
row after the other, every step from the beginning."""

from pathlib import Path

import torch
from torch import Tensor

from dfc.engines.engine import Progress
from dfc.engines.generation import sampler
from dfc.vllm.batch import Answer, Batch, Facts, Outcome, Request, Runtime
from dfc.vllm.instrument import SURFACE, Instrument
from dfc.vllm.plans import Plan, Step, step_of
from dfc.vllm.settings import VllmSettings
from dfc.vllm.submission import preparations
from dfc.vllm.wire import Packed, from_bytes, to_bytes
from tests.dfc import naive


class OneByOne(Runtime):
    """In this process."""

    def __init__(
        self, path: Path, dtype: torch.dtype, settings: VllmSettings, context: int
    ) -> None:
        assert dtype == torch.float32
        self._context = context
        self._model = naive.load(path)
        self._model.compute_logits = self._model.lm_head  # type: ignore[assignment]
        config = self._model.config
        self.instrument = Instrument(
            self._model, config.num_hidden_layers, config.hidden_size, records=True
        )
        self.salts: list[str | None] = []
        self.closed = False

    def facts(self) -> Facts:
        config = self._model.config
        return Facts(
            runner="one by one",
            architecture=type(self._model).__name__,
            n_layers=config.num_hidden_layers,
            d_model=config.hidden_size,
            vocabulary=config.vocab_size,
            dtype="float32",
            context=self._context,
        )

    def run(self, batch: Batch, progress: Progress | None = None) -> Outcome:
        for method, *args in preparations(batch):
            assert method in SURFACE
            getattr(self.instrument, method)(*args)
        self.salts = [request.salt for request in batch.requests]
        answers = []
        for number, request in enumerate(batch.requests, start=1):
            answers.append(self.answer(request))
            if progress is not None:
                progress(number, len(batch.requests))
        recorded = self.instrument.take_states()
        return Outcome(
            tuple(answers),
            tuple((row, last) for row, last in self.instrument.take_reached()),
            tuple((row, layer, Packed(*x)) for row, layer, x in recorded),
        )

    def unembed(self, x_ND: Tensor) -> Tensor:
        packed = self.instrument.unembed(*to_bytes(x_ND))
        assert packed is not None
        return from_bytes(*packed)

    def close(self) -> None:
        self.closed = True

    def step(self, plan: Plan, n_tokens: int) -> Step:
        """The step over a whole row; faulty runtimes say something else."""
        return step_of([plan], [0, n_tokens], [0])

    def answer(self, request: Request) -> Answer:
        tokens, written = list(request.tokens), []
        draws = request.draws
        scored: tuple[float, ...] = ()
        for n in range(request.max_new_tokens):
            self.instrument.begin(self.step(request.plan, len(tokens)))
            logits_TV = self._model(torch.tensor([tokens]), use_cache=False).logits[0]
            self.instrument.end()
            said_TV = logits_TV.log_softmax(1)
            if n == 0 and request.scored:
                picked = said_TV[:-1].gather(1, torch.tensor(tokens[1:])[:, None])
                scored = tuple(picked[:, 0].tolist())
            last_V = logits_TV[-1]
            if request.writable is not None:
                last_V = last_V[: request.writable]
            if draws is not None:
                choose = sampler(draws.temperature, draws.seed, [draws.row], request.max_new_tokens)
                token = int(choose(last_V[None, : draws.size], [0], n))
            else:
                token = int(last_V.argmax())
            tokens.append(token)
            written.append(said_TV[-1, token].item())
            if token in request.stop:
                break
        return Answer(tuple(tokens[len(request.tokens) :]), tuple(written), scored)
