"""Text to token ids and back, and the digest that says whether two models share their ids."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer

from dfc.errors import InputError, ModelError

_MEANING = ("model", "added_tokens", "normalizer", "pre_tokenizer", "decoder")
"""Parts of tokenizer.json that decide which ids a text gets. Padding, truncation and the
post-processor are left out: they are never applied."""
TODAY = datetime(2025, 1, 1, tzinfo=UTC)
"""The day that chat templates are told: some write the date into every prompt, and what is scored
today is held against what was scored long ago."""


class Tokenizer:
    """The fast tokenizer of a local checkpoint."""

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
        except Exception as error:  # of any kind: the tokenizers library raises bare ones
            raise ModelError(
                f"no tokenizer can be loaded from {path}: its tokenizer.json is missing or broken, "
                "or does not fit its tokenizer_config.json; save the tokenizer again beside the "
                f"model with save_pretrained ({type(error).__name__}: {error})"
            ) from error
        if not self._tokenizer.is_fast:
            raise ModelError(
                f"{path} names a tokenizer without a fast form, {type(self._tokenizer).__name__}, "
                "in its tokenizer_config.json; save a fast one beside the model"
            )
        self.path = path

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        return self.encode_text(
            self.render_chat(messages, add_generation_prompt=add_generation_prompt)
        )

    def render_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> str:
        """Text of a conversation under the chat template, on the same day for ever, special tokens
        written out, so that encoding must not add them a second time."""
        if not self.has_chat_template:
            raise InputError(
                f"{self.path} has no chat template; add chat_template.jinja or use plain texts"
            )
        try:
            return self._tokenizer.apply_chat_template(
                [dict(message) for message in messages],
                add_generation_prompt=add_generation_prompt,
                tokenize=False,
                strftime_now=TODAY.strftime,
            )
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise InputError(
                f"the chat template of {self.path} refuses a conversation of {roles}: {error}; "
                "leave such conversations out of the corpus"
            ) from error

    @property
    def has_chat_template(self) -> bool:
        return bool(self._tokenizer.chat_template)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def encode_with_offsets(self, text: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        """``encode_text``, and per token the characters (start, stop) that it was made from; tokens
        made from one character overlap."""
        encoded = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        return tuple(encoded["input_ids"]), encoded["offset_mapping"]

    @cached_property
    def size(self) -> int:
        """One more than its last id; a model's embeddings may be padded beyond it."""
        return max(self._tokenizer.get_vocab().values()) + 1

    @cached_property
    def special_tokens(self) -> frozenset[int]:
        """Ids that stand for no text: controls, padding, and the one for unknown text."""
        added = self._tokenizer.added_tokens_decoder.items()
        marked = [token for token, content in added if content.special]
        return frozenset([*self._tokenizer.all_special_ids, *marked])

    def decode(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(
            list(tokens), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )

    @property
    def end_of_sequence(self) -> int | None:
        return self._tokenizer.eos_token_id

    def digest(self) -> str:
        """SHA-256 over the parts of the tokenizer that decide its ids, in canonical JSON."""
        content = json.loads(self._tokenizer.backend_tokenizer.to_str())
        meaning = {part: content.get(part) for part in _MEANING}
        canonical = json.dumps(meaning, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
