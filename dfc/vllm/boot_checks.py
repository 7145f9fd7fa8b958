"""Proof at start that vLLM runs this model as read and steered states say, or no start at all.

Three equalities, each of which a wrong residual convention, a hook that is skipped or a row that is
mistaken for another breaks by far more than rounding. None needs a second model in memory:

1. The states after the last block, unembedded, are the log-probabilities that vLLM itself reports.
2. The states of one text after any block, put in place of another text's, make the blocks above
   say what they say of the first text: they are the whole state, of the right rows and positions.
3. An edit moves the states by exactly what its formula says, from the second position on, moves
   what the model says in prefill and in decoding exactly as these states do, and leaves other rows
   alone.

That the states have the scale that they have in transformers is read off the first block, which is
loaded there too, on the CPU.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel
from transformers.utils import logging

from dfc.engines.engine import Edit, EngineInfo, FeatureBank
from dfc.engines.steering import edit_delta, plan_edits
from dfc.errors import ParityError, SteeringError
from dfc.vllm.batch import Answer, Bank, Batch, Outcome, Request, Runtime
from dfc.vllm.edit_table import PackedBank
from dfc.vllm.plans import Plan
from dfc.vllm.salt import cache_salt
from dfc.vllm.wire import to_bytes

ALLOWED = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.05}
"""Largest difference as a part of what is at stake: of the states' norm, or of what the change of
text or the edit does to the log-probabilities. Rounding stays below; every fault is of the order of
1."""
TOKENS = 12


def check_at_boot(runtime: Runtime, info: EngineInfo, path: Path) -> None:
    """Raises ParityError or SteeringError when one of the equalities does not hold."""
    _BootChecks(runtime, info).run(path)


class _BootChecks:
    def __init__(self, runtime: Runtime, info: EngineInfo) -> None:
        self._runtime = runtime
        self._info = info
        self._allowed = ALLOWED[info.dtype]
        generator = torch.Generator().manual_seed(0)
        texts = torch.randint(info.vocabulary, (2, TOKENS), generator=generator).tolist()
        self._first, self._second = (tuple(text) for text in texts)
        self._direction_KD = torch.nn.functional.normalize(
            torch.randn(2, info.d_model, generator=generator), dim=1
        )

    def run(self, path: Path) -> None:
        layers = tuple(range(self._info.n_layers))
        plans = [Plan(0, TOKENS, records=layers), Plan(1, 0)]
        ran = self._run(plans)
        plain, other = ran.answers
        states = {layer: x for (_, layer), x in ran.states(plans).items()}
        self._check_scale(path, states)
        self._check_unembedding(plain, states[layers[-1]])
        self._check_whole(other, states)
        self._check_steering(plain, other, states)

    def _check_scale(self, path: Path, states: dict[int, Tensor]) -> None:
        if self._info.n_layers < 2:  # then the unembedding says it all
            return
        shown = logging.get_verbosity()
        logging.set_verbosity_error()  # all other blocks would be listed as unexpected
        try:
            model = AutoModel.from_pretrained(
                path,
                num_hidden_layers=2,
                dtype=getattr(torch, self._info.dtype),
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
        finally:
            logging.set_verbosity(shown)
        tokens = torch.tensor([self._first])
        with torch.inference_mode():
            found = model.eval()(tokens, use_cache=False, output_hidden_states=True).hidden_states
        # The state after the second block is not looked at: the final norm has changed it.
        self._expect(states[0], found[1][0], None, "states after block 0 beside transformers")

    def _check_unembedding(self, plain: Answer, x_TD: Tensor) -> None:
        self._expect(
            torch.tensor(plain.scored),
            self._said(x_TD, self._first),
            None,
            "log-probabilities of unembedded states",
        )

    def _check_whole(self, other: Answer, states: dict[int, Tensor]) -> None:
        said = self._said(states[self._info.n_layers - 1], self._second)
        plans = [Plan(layer, TOKENS, patch=layer) for layer in states]
        ran = self._run(plans, [self._second] * len(plans), states=states)
        for layer, answer in zip(states, ran.answers, strict=True):
            self._expect(
                torch.tensor(answer.scored),
                said,
                torch.tensor(other.scored),
                f"what the blocks above {layer} make of states that were read there",
            )

    def _check_steering(self, plain: Answer, other: Answer, states: dict[int, Tensor]) -> None:
        layer = self._info.n_layers // 2
        x_TD = states[layer]
        bank = self._bank(layer, x_TD[1:].float().norm(dim=1).median().item())
        edits = [Edit(0, offset=1.0), Edit(1, gain=-2.0, offset=0.5)]
        packed = PackedBank(bank, [edits])
        plans = [
            Plan(0, TOKENS, packed.edits(edits), records=(layer,)),
            Plan(1, TOKENS, records=(layer,)),
        ]
        ran = self._run(plans, [self._first] * 2, max_new_tokens=4, bank=packed.packed)
        steered, beside = ran.answers
        taken, reached = ran.states(plans), dict(ran.reached)
        if reached != {0: TOKENS + len(steered.tokens) - 2}:
            raise SteeringError(f"edits of one row reached the positions {reached}")

        plan = plan_edits(bank, [edits], torch.device("cpu"))
        assert plan is not None
        editable_T = torch.arange(TOKENS) > 0
        delta_TD = edit_delta(x_TD[None], plan, editable_T[None])[0]
        moved_TD = (x_TD.float() + delta_TD).to(x_TD.dtype)
        self._expect(taken[0, layer], moved_TD, x_TD, "steered states")
        self._expect(taken[1, layer], x_TD, None, "states of a row beside a steered one")
        self._expect(
            torch.tensor(beside.scored),
            torch.tensor(plain.scored),
            torch.tensor(other.scored),
            "log-probabilities of a row beside a steered one",
        )

        [patched] = self._run([Plan(0, TOKENS, patch=layer)], states={0: moved_TD}).answers
        self._expect(
            torch.tensor(steered.scored),
            torch.tensor(patched.scored),
            torch.tensor(plain.scored),
            "what steered states do to the log-probabilities",
        )

        whole = (*self._first, *steered.tokens)
        plans = [Plan(0, 0, packed.edits(edits)), Plan(1, 0)]
        again, unsteered = self._run(plans, [whole, whole], bank=packed.packed).answers
        self._expect(
            torch.tensor(steered.written),
            torch.tensor(again.scored[TOKENS - 1 :]),
            torch.tensor(unsteered.scored[TOKENS - 1 :]),
            "log-probabilities of tokens written under an edit",
        )

    def _bank(self, layer: int, norm: float) -> FeatureBank:
        return FeatureBank(
            layer=layer,
            encoder_KD=self._direction_KD.flip(0),
            bias_K=torch.tensor([0.0, norm]),
            threshold_K=torch.zeros(2),
            decoder_KD=self._direction_KD,
            unit_K=torch.full((2,), norm),
        )

    def _run(
        self,
        plans: Sequence[Plan],
        texts: Sequence[tuple[int, ...]] | None = None,
        max_new_tokens: int = 1,
        bank: Bank | None = None,
        states: Mapping[int, Tensor] | None = None,
    ) -> Outcome:
        texts = texts or [self._first, self._second][: len(plans)]
        requests = tuple(
            Request(
                text,
                plan,
                max_new_tokens=max_new_tokens,
                scored=True,
                salt=cache_salt(plan, "boot"),
            )
            for text, plan in zip(texts, plans, strict=True)
        )
        loaded = tuple((row, to_bytes(x_TD)) for row, x_TD in (states or {}).items())
        return self._runtime.run(Batch(requests, bank, loaded))

    def _said(self, x_TD: Tensor, tokens: tuple[int, ...]) -> Tensor:
        """Log-probabilities of all tokens but the first, from states after the last block."""
        logits_TV = self._runtime.unembed(x_TD)
        next_T = torch.tensor(tokens[1:])
        return logits_TV[:-1].log_softmax(1).gather(1, next_T[:, None])[:, 0]

    def _expect(self, found: Tensor, expected: Tensor, without: Tensor | None, what: str) -> None:
        """``without``: what would be found if nothing had been changed."""
        found, expected = found.float(), expected.float()
        reference = torch.zeros_like(expected) if without is None else without.float()
        stake = (expected - reference).norm().item()
        error = (found - expected).norm().item()
        if not (math.isfinite(stake) and stake > 0 and error <= self._allowed * stake):
            raise ParityError(
                f"{what} differ from what they must be by {error:.3g}, with {stake:.3g} at stake "
                f"(allowed {self._allowed} of it); vLLM does not run {self._info.architecture} as "
                "its states say. Use the transformers engine for this model"
            )
