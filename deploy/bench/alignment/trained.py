"""Small tokenizers of the usual kinds, trained on the spot, with chat templates of their own."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

UNKNOWN = "<unk>"
CONTROLS = [UNKNOWN, "<s>", "</s>"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

_PLAIN = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] | capitalize }}: "
    "{{ message['content'] }}\n\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
_TRIMMING = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'] | trim + eos_token }}{% else %}"
    "{{ bos_token + '[INST] ' + message['content'] | trim + ' [/INST]' }}{% endif %}{% endfor %}"
)
_HEADED = (
    "{{ bos_token }}{% if messages[0]['role'] != 'system' %}You answer the user.\n{% endif %}"
    "{% for message in messages %}### {{ message['role'] | upper }}\n{{ message['content'] }}"
    "{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}### ASSISTANT\n{% endif %}"
)


def byte_bpe(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Bytes merged by frequency, as in GPT-2 and Llama 3; characters may fall into parts."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=CONTROLS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def metaspace_bpe(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """As SentencePiece makes them for Llama 2: spaces written as "▁", bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNKNOWN, fuse_unk=True))
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=CONTROLS + BYTES, show_progress=False
    )
    return _with_byte_fallback(tokenizer, texts, trainer)


def unigram(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """The same with pieces chosen by likelihood, after NFKC."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary,
        special_tokens=CONTROLS + BYTES,
        unk_token=UNKNOWN,
        show_progress=False,
    )
    return _with_byte_fallback(tokenizer, texts, trainer)


def _with_byte_fallback(
    tokenizer: Tokenizer, texts: Sequence[str], trainer: trainers.Trainer
) -> Tokenizer:
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.train_from_iterator(texts, trainer)
    state = json.loads(tokenizer.to_str())
    state["model"]["byte_fallback"] = True
    # Trainers know bytes only as special tokens; these stand for text.
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] in CONTROLS]
    return Tokenizer.from_str(json.dumps(state))


def wordpiece(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """As BERT's, in lower case and without accents; what it does not know is lost."""
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=CONTROLS, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


KINDS: dict[str, tuple[Callable[[Sequence[str], int], Tokenizer], str | None]] = {
    "byte_bpe": (byte_bpe, _PLAIN),
    "metaspace_bpe": (metaspace_bpe, _TRIMMING),
    "unigram": (unigram, _TRIMMING),
    "wordpiece": (wordpiece, _HEADED),
}
"""How each kind is trained, and its chat template."""


def save_trained(kind: str, texts: Sequence[str], directory: Path, vocabulary: int = 4000) -> Path:
    """Train a tokenizer of a kind and save it as a checkpoint's tokenizer files."""
    train, template = KINDS[kind]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train(texts, vocabulary),
        unk_token=UNKNOWN,
        bos_token="<s>",
        eos_token="</s>",
        chat_template=template,
    )
    tokenizer.save_pretrained(directory)
    return directory
