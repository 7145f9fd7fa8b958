"""all-MiniLM-L6-v2, a text encoder, as something that can be harvested.

A BERT reads to both sides, has no chat template and generates nothing: it can be read beside a
language model and compared, not steered.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import BertModel

from dfc.engines.batching import PAD
from dfc.engines.engine import Activations, EngineInfo, Progress
from dfc.engines.harvesting import document_states, gather_activations
from dfc.engines.tokenizer import Tokenizer

TOKENS_AT_ONCE = 4096


class EncoderEngine:
    """The part of `dfc.engines.engine.Engine` that reading needs."""

    def __init__(self, path: Path) -> None:
        self.tokenizer = Tokenizer(path)
        self._model = BertModel.from_pretrained(
            path, local_files_only=True, use_safetensors=True, add_pooling_layer=False
        ).eval()
        config = self._model.config
        self.info = EngineInfo(
            architecture="BertModel",
            n_layers=config.num_hidden_layers,
            d_model=config.hidden_size,
            dtype="float32",
            vocabulary=config.vocab_size,
            tokenizer_digest=self.tokenizer.digest(),
        )
        self._blocks = self._model.encoder.layer
        self._first, self._last = (
            self.tokenizer.encode_text(text)[0] for text in ("[CLS]", "[SEP]")
        )

    @torch.no_grad()
    def harvest(
        self, documents: Sequence[tuple[int, ...]], layer: int, progress: Progress | None = None
    ) -> Activations:
        """States after block `layer` at every position but the first of every document.

        Each document is framed as in the encoder's training; the frame is not harvested.
        """
        framed = [(self._first, *document, self._last) for document in documents]
        states = (
            (number, x_TD[1:-1])
            for number, x_TD in document_states(
                framed, TOKENS_AT_ONCE, lambda tokens_BT: self._lower(tokens_BT, layer)
            )
        )
        return gather_activations(documents, self.info.d_model, states, progress)

    def _lower(self, tokens_BT: Tensor, layer: int) -> Tensor:
        # Attention to both sides must not see what pads a batch; no text has that id.
        mask_BT = tokens_BT != PAD
        self._model.encoder.layer = self._blocks[: layer + 1]
        try:
            return self._model(tokens_BT, attention_mask=mask_BT.long()).last_hidden_state
        finally:
            self._model.encoder.layer = self._blocks
