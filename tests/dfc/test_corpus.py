"""Corpora are read strictly and become token documents."""

from pathlib import Path

import pytest

from dfc.corpus import (
    Chat,
    Text,
    bundled_prompts,
    bundled_texts,
    encode_corpus,
    prompts_of,
    read_corpus,
)
from dfc.engines.transformers_engine import TransformersEngine
from dfc.errors import CorpusError

CHAT = '{"category": "opinion", "messages": [{"role": "user", "content": "Right?"}]}'


def test_texts_and_chats_are_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text('{"text": "one\u2028line", "licence": "any"}\n\n' + CHAT + "\n", "utf-8")
    assert read_corpus(file) == [
        Text("one\u2028line"),
        Chat(({"role": "user", "content": "Right?"},), "opinion"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", "not JSON"),
        ('{"text": "x", "more": ' + "[" * 100_000, "is nested too deeply"),
        ("[1]", 'either "text" or "messages"'),
        ('{"prompt": "x"}', 'either "text" or "messages"'),
        ('{"text": "x", "messages": []}', 'either "text" or "messages"'),
        ('{"text": " "}', '"text" must be a string that is not blank'),
        ('{"text": 3}', '"text" must be a string that is not blank'),
        ('{"messages": []}', '"messages" must be a list of at least one message'),
        ('{"messages": [{"role": "bot", "content": "x"}]}', r'messages\[0\] needs a "role"'),
        ('{"messages": [{"role": "user", "content": null}]}', r'messages\[0\] needs a "content"'),
        ('{"messages": [{"role": "user", "content": "x"}], "category": 3}', '"category" must be'),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "corpus.jsonl"
    file.write_text(f'{{"text": "fine"}}\n{line}\n')
    with pytest.raises(CorpusError, match=rf"corpus\.jsonl, line 2: .*{message}"):
        read_corpus(file)


def test_an_unreadable_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"absent\.jsonl cannot be read"):
        read_corpus(tmp_path / "absent.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(CorpusError, match=r"empty\.jsonl is empty"):
        read_corpus(tmp_path / "empty.jsonl")


def test_documents_are_cut_to_length(engine: TransformersEngine) -> None:
    chat = Chat(({"role": "user", "content": "Right?"},))
    text, talk = encode_corpus(engine, [Text("Paris is the capital."), chat], 5)
    assert text == engine.encode_text("Paris is the capital.")[:5]
    assert talk == engine.encode_chat(chat.messages, add_generation_prompt=False)[:5]


def test_what_waits_for_no_answer_is_no_prompt() -> None:
    chat = Chat(({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}))
    for item in (chat, Text("Hi")):
        with pytest.raises(CorpusError, match="prompt 0 does not end with a user message"):
            prompts_of([item])


def test_bundled_corpus_is_valid_and_varied() -> None:
    prompts, texts = bundled_prompts(), bundled_texts()
    assert len({prompt.category for prompt in prompts}) > 3
    assert len(prompts) == len({str(prompt.messages) for prompt in prompts})
    assert len(texts) > 20
