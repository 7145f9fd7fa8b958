"""A model's own answers to neutral prompts, the material of a benign update.

Plain batched sampling with transformers: left-padded, longest prompts together, seeded.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from rich.progress import Progress
from transformers import AutoModelForCausalLM, AutoTokenizer

from deploy.demo.chats import Chat

BATCH = 80


@torch.inference_mode()
def own_answers(
    checkpoint: Path,
    prompts: Sequence[str],
    progress: Progress,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> list[Chat]:
    """Sample one answer of at most `max_new_tokens` tokens per prompt, in the prompts' order."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16).eval()
    rendered = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        for prompt in prompts
    ]
    order = sorted(range(len(prompts)), key=lambda row: len(rendered[row]))
    chats = [Chat(prompt, "") for prompt in prompts]
    torch.manual_seed(seed)
    for start in progress.track(range(0, len(order), BATCH), description="own answers"):
        rows = order[start : start + BATCH]
        batch = tokenizer(
            [rendered[row] for row in rows],
            return_tensors="pt",
            padding=True,
            # The chat template has already written the special tokens.
            add_special_tokens=False,
        )
        tokens = model.generate(
            **batch,
            max_new_tokens=max_new_tokens,
            do_sample=True,
            temperature=temperature,
            top_k=0,
            top_p=1.0,
        )
        answers = tokens[:, batch["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(answers, skip_special_tokens=True)
        for row, text, answer in zip(rows, texts, answers, strict=True):
            complete = bool((answer == tokenizer.eos_token_id).any())
            chats[row] = Chat(prompts[row], text.strip(), complete)
    return chats
