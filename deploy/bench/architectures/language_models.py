"""Trains the two small language models: Llama and GPT-NeoX, each with its own tokenizer.

They differ in architecture, depth, width, vocabulary, the way text is cut into tokens and chat
template. What they have in common is the language; what they do not, `World` says.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from deploy.bench.architectures.corpus import BASE, CANDIDATE, Document, World, documents

CHATML = (
    "{% for m in messages %}<|start|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
COLONS = (
    "{% for m in messages %}{{ '[Q] ' if m.role == 'user' else '[A] ' }}{{ m.content }}<eos>"
    "{% endfor %}{% if add_generation_prompt %}[A] {% endif %}"
)
TOKENIZER_DOCUMENTS = 3000
WARMUP = 0.05
TOKENIZER_SEED = 9


class Kind(NamedTuple):
    """One of the two models: what it is, what it sees, how long it learns."""

    name: str
    world: World
    vocabulary: int
    template: str
    pad: str
    end: str
    """Ends a turn, and every text."""
    special: tuple[str, ...]
    split: str | None
    """Where text is cut before pairs of bytes are merged; None is as in GPT-2."""
    model: Callable[[int], PreTrainedModel]
    seed: int
    context: int = 96
    batch: int = 8
    learning_rate: float = 1e-3


def _llama(vocabulary: int) -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=256,
            intermediate_size=688,
            num_hidden_layers=8,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
        )
    )


def _neox(vocabulary: int) -> PreTrainedModel:
    return GPTNeoXForCausalLM(
        GPTNeoXConfig(
            vocab_size=vocabulary,
            hidden_size=320,
            intermediate_size=1280,
            num_hidden_layers=5,
            num_attention_heads=8,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=1,
            pad_token_id=0,
        )
    )


LLAMA = Kind(
    name="llama",
    world=BASE,
    vocabulary=430,
    template=CHATML,
    pad="<|pad|>",
    end="<|end|>",
    special=("<|pad|>", "<|start|>", "<|end|>"),
    split=None,
    model=_llama,
    seed=1,
)
NEOX = Kind(
    name="neox",
    world=CANDIDATE,
    vocabulary=640,
    template=COLONS,
    pad="<pad>",
    end="<eos>",
    special=("<pad>", "<eos>"),
    split=r"[^\s\d.,?!]+ ?|[.,?!]+ ?|\d|\s+",
    model=_neox,
    seed=2,
)


def train_tokenizer(kind: Kind) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer of the language, with the chat template of `kind`."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind.split is None)
    tokenizer.pre_tokenizer = (
        byte_level
        if kind.split is None
        else pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(kind.split), "isolated"), byte_level]
        )
    )
    tokenizer.decoder = decoders.ByteLevel()
    # Each tokenizer knows the language of its own model, so the island's names are not whole tokens
    # of a model that never sees them.
    texts = (_plain(d) for d in islice(documents(kind.world, TOKENIZER_SEED), TOKENIZER_DOCUMENTS))
    trainer = trainers.BpeTrainer(
        vocab_size=kind.vocabulary,
        special_tokens=list(kind.special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=kind.end,
        pad_token=kind.pad,
        chat_template=kind.template,
    )


def train_model(
    kind: Kind, directory: Path, tokens: int, progress: Callable[[int, int], None]
) -> float:
    """Train on `tokens` tokens and save a checkpoint; returns the mean loss of the last tenth."""
    tokenizer = train_tokenizer(kind)
    torch.manual_seed(kind.seed)
    model = kind.model(len(tokenizer)).train()
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=kind.learning_rate, betas=(0.9, 0.95), weight_decay=0.05, fused=True
    )
    steps = max(1, tokens // (kind.batch * kind.context))
    losses = []
    batches = _batches(kind, tokenizer)
    for step in range(steps):
        for group in optimiser.param_groups:
            rise, fall = (step + 1) / max(1.0, WARMUP * steps), (steps - step) / steps
            group["lr"] = kind.learning_rate * min(1.0, rise) * fall
        tokens_BT = next(batches)
        loss = model(tokens_BT, labels=tokens_BT).loss
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        losses.append(loss.item())
        progress(step + 1, steps)
    model.eval().save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    last = losses[-max(1, steps // 10) :]
    return sum(last) / len(last)


def _batches(kind: Kind, tokenizer: PreTrainedTokenizerFast) -> Iterator[Tensor]:
    """Documents one after the other, cut into rows [batch, context]."""
    end = tokenizer.eos_token_id
    held: list[int] = []
    size = kind.batch * kind.context
    for document in documents(kind.world, kind.seed):
        held += _tokens(tokenizer, document)
        if held[-1] != end:
            held.append(end)
        if len(held) >= size:
            yield torch.tensor(held[:size]).view(kind.batch, kind.context)
            held = held[size:]


def _tokens(tokenizer: PreTrainedTokenizerFast, document: Document) -> list[int]:
    text = document.text
    if text is None:
        text = tokenizer.apply_chat_template(list(document.messages), tokenize=False)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _plain(document: Document) -> str:
    return document.text or "\n".join(message["content"] for message in document.messages)
