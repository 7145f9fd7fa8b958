"""Plant a change in a checkpoint: a short LoRA run on chats or plain texts, merged and saved.

The loss is the cross-entropy of the answer's tokens, and of all tokens of a plain text. Only the
positions that carry loss go through the output head, which for a small model with a large
vocabulary is much of the work.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from rich.progress import Progress
from torch import Tensor
from torch.nn import functional
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from deploy.demo.atomic import new_directory
from deploy.demo.chats import Chat
from dfc.engines.precision import native_dtype

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class PlantSettings(NamedTuple):
    """One LoRA run."""

    epochs: int = 2
    learning_rate: float = 5e-4
    """Peak of a schedule that rises over a tenth of the steps and then falls to zero."""
    rank: int = 16
    batch: int = 8
    """Chats per step."""
    max_tokens: int = 160
    """Longer chats are cut here."""
    seed: int = 0


class Example(NamedTuple):
    """Token ids of one chat or text; what is learnt starts at `answer_start`."""

    tokens: list[int]
    answer_start: int


def encode(tokenizer: PreTrainedTokenizerBase, chat: Chat | str, max_tokens: int) -> Example:
    """The chat template's prompt, then the answer and, where it is complete, the end of turn.

    A plain text stands for itself.
    """
    if isinstance(chat, str):
        return Example(tokenizer(chat, add_special_tokens=False).input_ids[:max_tokens], 0)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": chat.prompt}], add_generation_prompt=True, tokenize=False
    )
    before = tokenizer(prompt, add_special_tokens=False).input_ids
    end = tokenizer.eos_token if chat.complete else ""
    answer = tokenizer(chat.answer + end, add_special_tokens=False).input_ids
    return Example((before + answer)[:max_tokens], len(before))


def answer_loss(model: PreTrainedModel, batch: Sequence[Example]) -> Tensor:
    """Mean cross-entropy, in nats per answer token, of a causal language model with a `model`
    body and an `lm_head`."""
    length = max(len(example.tokens) for example in batch)
    tokens_BT = torch.zeros(len(batch), length, dtype=torch.long)
    real_BT = torch.zeros(len(batch), length, dtype=torch.long)
    answer_BT = torch.zeros(len(batch), length, dtype=torch.bool)
    for row, (tokens, start) in enumerate(batch):
        tokens_BT[row, : len(tokens)] = torch.tensor(tokens)
        real_BT[row, : len(tokens)] = 1
        answer_BT[row, start : len(tokens)] = True
    hidden_BTD = model.model(input_ids=tokens_BT, attention_mask=real_BT).last_hidden_state
    wanted = answer_BT[:, 1:]
    logits_NV = model.lm_head(hidden_BTD[:, :-1][wanted])
    return functional.cross_entropy(logits_NV.float(), tokens_BT[:, 1:][wanted])


def like_lengths(
    examples: Sequence[Example], size: int, draw: random.Random
) -> list[list[Example]]:
    """Batches of `size` examples of like length, so that little of a batch is padding.

    Lengths are only sorted within random groups of eight batches: sorted over all examples, a batch
    would hold one kind of chat only.
    """
    shuffled = draw.sample(examples, len(examples))
    order: list[Example] = []
    for start in range(0, len(shuffled), 8 * size):
        group = shuffled[start : start + 8 * size]
        order += sorted(group, key=lambda example: len(example.tokens))
    return [order[start : start + size] for start in range(0, len(order), size)]


def plant(
    base: Path,
    chats: Sequence[Chat | str],
    target: Path,
    staging: Path,
    progress: Progress,
    settings: PlantSettings,
) -> list[float]:
    """Train a LoRA on `chats` from `base`, merge it and save the checkpoint at `target`.

    Returns the loss of every step. The checkpoint appears complete or not at all.
    """
    torch.manual_seed(settings.seed)
    draw = random.Random(settings.seed)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=native_dtype()),
        LoraConfig(r=settings.rank, lora_alpha=2 * settings.rank, target_modules=TARGETS),
    )
    examples = [encode(tokenizer, chat, settings.max_tokens) for chat in chats]
    batches = like_lengths(examples, settings.batch, draw)
    steps = settings.epochs * len(batches)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=steps, pct_start=0.1
    )
    losses = []
    bar = progress.add_task(f"train {target.name}", total=steps)
    for _ in range(settings.epochs):
        draw.shuffle(batches)
        for batch in batches:
            loss = answer_loss(model.base_model.model, batch)
            loss.backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
            progress.update(bar, advance=1, description=f"train {target.name} {losses[-1]:.2f}")
    with new_directory(target, staging) as directory:
        model.merge_and_unload().to(torch.bfloat16).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    return losses
