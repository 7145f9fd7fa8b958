"""Text to token ids and back, and the digest that says whether two models share their ids."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from transformers import AutoTokenizer

from dfc.errors import InputError, ModelError

_MEANING = ("model", "added_tokens", "normalizer", "pre_tokenizer", "decoder")
"""Parts of tokenizer.json that decide which ids a text gets. Padding, truncation and the
post-processor are left out: they are never applied."""


class Tokenizer:
    """The fast tokenizer of a local checkpoint."""

    def __init__(self, path: Path) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(
                path, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise ModelError(f"no tokenizer can be loaded from {path}: {error}") from error
        if not self._tokenizer.is_fast:
            raise ModelError(
                f"{path} has no tokenizer.json; save its fast tokenizer beside the model"
            )
        self.path = path

    def encode_chat(
        self, messages: Sequence[Mapping[str, str]], *, add_generation_prompt: bool
    ) -> tuple[int, ...]:
        if not self._tokenizer.chat_template:
            raise InputError(
                f"{self.path} has no chat template; add chat_template.jinja or use plain texts"
            )
        # The template writes the special tokens, so encoding must not add them a second time.
        text = self._tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
        )
        return self.encode_text(text)

    def encode_text(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False)["input_ids"])

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
