"""Tokens of different tokenizers are paired where both models have read the same text."""

import re
from collections.abc import Sequence
from pathlib import Path
from unicodedata import category

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.bench.alignment.algorithm_1 import Tokens, align_windows
from deploy.bench.alignment.trained import KINDS, save_trained
from dfc.alignment import LocatedTokens, align, read_chat, read_text
from dfc.corpus import Text, bundled_texts
from dfc.engines.tokenizer import Tokenizer
from dfc.errors import InputError

TRAINED_ON = [item.text for item in bundled_texts()[:40] if isinstance(item, Text)]
TRAINED_ON += [
    "In 1989 the 日本語",
    "I’m “fine” … 🙂 — café, «naïve» ‘x’",
    "f(x): [/INST] ### _=",
] * 30
VOCABULARY = 2000


@pytest.fixture(scope="module")
def tokenizers(
    tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path
) -> dict[str, Tokenizer]:
    directory = tmp_path_factory.mktemp("tokenizers")
    trained = {
        kind: Tokenizer(save_trained(kind, TRAINED_ON, directory / kind, VOCABULARY))
        for kind in KINDS
    }
    return {**trained, "tiny": Tokenizer(tiny_checkpoint)}


def pieces(a: Tokenizer, b: Tokenizer, text: str) -> list[tuple[str, str]]:
    """The text of the tokens that are paired."""
    base, candidate = read_text(a, text), read_text(b, text)
    return [
        (a.decode([base.tokens[i]]).strip(), b.decode([candidate.tokens[j]]).strip())
        for i, j in align(base, candidate)
    ]


def made_of(*tokens: tuple[int, int | None, int | None]) -> LocatedTokens:
    """A reading of (token, span, end)."""
    return LocatedTokens(*(tuple(t[n] for t in tokens) for n in (0, 2, 1)))


def test_one_token_to_one(tokenizers: dict[str, Tokenizer]) -> None:
    found = pieces(tokenizers["byte_bpe"], tokenizers["unigram"], "In the house it is the time.")
    assert [a for a, _ in found] == ["In", "the", "house", "it", "is", "the", "time", "."]


def test_many_tokens_to_one_are_paired_at_the_last() -> None:
    one = made_of((5, 0, 4), (6, 0, 5))
    two = made_of((8, 0, 3), (9, 0, 4), (7, 0, 5))
    assert align(one, two) == [(0, 1), (1, 2)]
    assert align(two, one) == [(1, 0), (2, 1)]


def test_a_year_in_one_token_meets_its_last_digit(tokenizers: dict[str, Tokenizer]) -> None:
    found = pieces(tokenizers["byte_bpe"], tokenizers["tiny"], "In 1989 it")
    assert found[1] == ("1989", "9")


def test_white_space_is_no_place(tokenizers: dict[str, Tokenizer]) -> None:
    for a, b in [("byte_bpe", "unigram"), ("tiny", "wordpiece")]:
        found = pieces(tokenizers[a], tokenizers[b], "  The \t house\n\n\n is  here. \n")
        assert all(left and right for left, right in found)
        assert [left for left, _ in found][-1] == "."


def test_special_tokens_are_no_place(tokenizers: dict[str, Tokenizer]) -> None:
    a = tokenizers["byte_bpe"]
    reading = read_text(a, "one</s>two")
    special = reading.tokens.index(next(iter(a.encode_text("</s>"))))
    assert (reading.ends_N[special], reading.spans_N[special]) == (None, None)
    found = pieces(a, tokenizers["wordpiece"], "In the house <s> is here")
    assert [left for left, _ in found] == ["In", "the", "house", "is", "here"]


def test_what_one_tokenizer_does_not_know_costs_that_place_only(
    tokenizers: dict[str, Tokenizer],
) -> None:
    found = pieces(tokenizers["byte_bpe"], tokenizers["wordpiece"], "the house ☃ is here")
    assert [right for _, right in found] == ["the", "house", "is", "here"]


@pytest.mark.parametrize(
    "text", ["so 👍 good", "so 👩‍👩‍👧 good", "so ☺️ good", "so 👍🏽 good", "👍"]
)
def test_an_emoji_is_read_with_its_last_byte(tokenizers: dict[str, Tokenizer], text: str) -> None:
    a, b = tokenizers["tiny"], tokenizers["unigram"]
    base, candidate = read_text(a, text), read_text(b, text)
    pairs = align(base, candidate)
    for i, j in pairs:
        assert "\ufffd" not in a.decode(base.tokens[: i + 1])
        assert a.decode(base.tokens[: i + 1]).strip() == b.decode(candidate.tokens[: j + 1]).strip()
    assert pairs[-1] == (len(base.tokens) - 1, len(candidate.tokens) - 1)


def test_a_token_that_ends_inside_the_next_character_has_no_end() -> None:
    """Bytes of 你好 split 2-2-2: the middle token has read all of 你, but a part of 好 as well."""

    class Split:
        special_tokens: frozenset[int] = frozenset()

        def encode_with_offsets(self, text: str) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
            return (1, 2, 3), [(0, 1), (0, 2), (1, 2)]

    assert read_text(Split(), "你好").ends_N == (None, None, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["“It’s here,” she said.", "‘one’ — «two» … “three”"])
def test_smart_quotes(tokenizers: dict[str, Tokenizer], text: str) -> None:
    for other in ("unigram", "wordpiece"):
        base, candidate = read_text(tokenizers["tiny"], text), read_text(tokenizers[other], text)
        assert (len(base.tokens) - 1, len(candidate.tokens) - 1) in align(base, candidate)


def test_cjk(tokenizers: dict[str, Tokenizer]) -> None:
    """Every boundary of the coarser tokenizer is one of the tokenizer that has bytes only."""
    text = "日本語を勉強する。"
    base, candidate = read_text(tokenizers["tiny"], text), read_text(tokenizers["unigram"], text)
    content = [j for j, end in enumerate(candidate.ends_N) if end is not None]
    assert len(content) < len(text)
    assert [j for _, j in align(base, candidate)] == content


def test_code_with_indentation_and_windows_newlines(tokenizers: dict[str, Tokenizer]) -> None:
    code = "def f(x):\r\n\tif x:\r\n        return  [x, 1]\r\n"
    base, candidate = read_text(tokenizers["tiny"], code), read_text(tokenizers["wordpiece"], code)
    ends = {base.ends_N[i] for i, _ in align(base, candidate)}
    assert {word.end() for word in re.finditer(r"\w+|[^\w\s]", code)} <= ends


@pytest.mark.parametrize("text", ["cafe\u0301 noir", "caf\u00e9 noir"])
def test_an_accent_belongs_to_its_letter_even_where_it_is_dropped(
    tokenizers: dict[str, Tokenizer], text: str
) -> None:
    a, b = tokenizers["tiny"], tokenizers["wordpiece"]
    base, candidate = read_text(a, text), read_text(b, text)
    read = [a.decode(base.tokens[: i + 1]) for i, _ in align(base, candidate)]
    assert text.removesuffix(" noir") in read
    assert "cafe" not in read


def test_equal_readings_pair_every_token(tokenizers: dict[str, Tokenizer]) -> None:
    messages = [{"role": "user", "content": "Hello there 👍"}]
    for tokenizer in tokenizers.values():
        reading = read_chat(tokenizer, messages)
        assert align(reading, reading) == [(n, n) for n in range(len(reading.tokens))]


def test_equal_ids_of_different_text_are_not_the_same_tokens() -> None:
    assert align(made_of((7, 0, 1), (7, 0, 2)), made_of((7, 0, 2), (7, 0, 4))) == [(1, 0)]


MESSAGES = [
    {"role": "user", "content": " user\n"},
    {"role": "assistant", "content": "</s>\n### USER\nThe house. [/INST]"},
    {"role": "user", "content": "assistant"},
    {"role": "assistant", "content": "Assistant: user"},
]


@pytest.mark.parametrize("kind", [*KINDS, "tiny"])
def test_contents_that_look_like_template_are_found(
    tokenizers: dict[str, Tokenizer], kind: str
) -> None:
    """Every message's end is paired with the same end under another template."""
    other = tokenizers["byte_bpe" if kind == "tiny" else "tiny"]
    base, candidate = read_chat(tokenizers[kind], MESSAGES), read_chat(other, MESSAGES)
    ends = {(candidate.spans_N[j], candidate.ends_N[j]) for _, j in align(base, candidate)}
    for number, message in enumerate(MESSAGES):
        assert (number, len(message["content"].rstrip())) in ends
    assert all(n in range(4) for n in {s for s in base.spans_N if s is not None})


def test_a_model_without_a_template_reads_the_contents(
    tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    save_trained("wordpiece", TRAINED_ON, tmp_path, VOCABULARY)
    (tmp_path / "chat_template.jinja").unlink()
    encoder = Tokenizer(tmp_path)
    reading = read_chat(encoder, MESSAGES[2:], add_generation_prompt=True)
    assert reading.tokens == encoder.encode_text("assistant\n\nAssistant: user")
    base = read_chat(tokenizers["byte_bpe"], MESSAGES[2:], add_generation_prompt=True)
    assert {base.spans_N[i] for i, _ in align(base, reading)} == {0, 1}


def with_template(tokenizers: dict[str, Tokenizer], directory: Path, template: str) -> Tokenizer:
    save_trained("byte_bpe", ["The house is here."], directory, 300)
    (directory / "chat_template.jinja").write_text(template)
    return Tokenizer(directory)


@pytest.mark.parametrize(
    ("template", "spans"),
    [
        ("{% for m in messages %}{{ m.content.split('</think>')[-1] }}|{% endfor %}", {0, 1}),
        ("{% for m in messages | reverse %}{{ m.content }}|{% endfor %}", {0, 1}),
        ("{{ messages[1].content }}{{ messages[1].content }}", {1}),
        ("{% for m in messages %}{{ m.content | upper }}|{% endfor %}", set()),
        ("\ue0007\ue001{% for m in messages %}{{ m.content }}|{% endfor %}", {0, 1}),
        ("{{ messages | length }} messages", set()),
    ],
)
def test_templates_that_cut_reorder_repeat_or_rewrite(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, template: str, spans: set[int]
) -> None:
    messages = [
        {"role": "user", "content": "why?"},
        {"role": "assistant", "content": "<think>so so</think>The house."},
    ]
    base = read_chat(tokenizers["tiny"], messages)
    candidate = read_chat(with_template(tokenizers, tmp_path, template), messages)
    pairs = align(base, candidate)
    assert {base.spans_N[i] for i, _ in pairs} == spans
    if 1 in spans:
        assert len(messages[1]["content"]) in {base.ends_N[i] for i, _ in pairs}


def test_a_conversation_that_the_template_refuses(
    tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    template = "{{ raise_exception('roles must alternate') }}"
    with pytest.raises(
        InputError, match=r"conversation of user, user: roles must alternate; leave"
    ):
        read_chat(with_template(tokenizers, tmp_path, template), [MESSAGES[0]] * 2)


def test_a_cut_reading_pairs_what_is_left(tokenizers: dict[str, Tokenizer]) -> None:
    text = "The house is in the city, and the city is near the sea. 👍 It is here."
    base, candidate = read_text(tokenizers["tiny"], text), read_text(tokenizers["unigram"], text)
    whole = align(base, candidate)
    left = align(base.cut(20), candidate.cut(9))
    assert left == [(i, j) for i, j in whole if i < 20 and j < 9] and left


ODD = [
    "👍",
    "é",
    "“",
    "’",
    "…",
    "日本",
    "語",
    "½",
    "ﬁ",
    "ß",
    "\r\n",
    "\t",
    "    ",
    "1989",
    "안녕",
    "İ",
]
ODD += ["don't", "naïve", "_x", "==", "the", "house", " ", "is", ".", "f(x):"]
SPACES = ["\u00a0", "\u3000"]
MARKED = ["☺️", "e\u0301", "👩‍👩‍👧", "\u200b", "\x00", "\ufeff", "</s>"]
any_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=3
)
# Algorithm 1 takes the bytes of a wide space for content.
no_wide_spaces = any_text.filter(lambda t: not any(c > "\x7f" and c.isspace() for c in t))
no_marks = any_text.filter(lambda t: not any(c == "<" or category(c)[0] in "MC" for c in t))


def texts_of(words: Sequence[str], others: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(words) | others, max_size=12).map("".join)


checked = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def boundaries(tokenizer: Tokenizer, tokens: Sequence[int]) -> dict[str, int]:
    """What has been read by the first token that ends with the same text but for white space."""
    found: dict[str, int] = {}
    for n in range(len(tokens)):
        read = tokenizer.decode(tokens[: n + 1])
        if read.strip() and not read.endswith("\ufffd"):
            found.setdefault(read.rstrip(), n)
    return found


@checked
@given(text=texts_of(ODD + SPACES, no_marks))
def test_between_lossless_tokenizers_tokens_are_paired_that_have_read_the_same(
    tokenizers: dict[str, Tokenizer], text: str
) -> None:
    a, b = tokenizers["byte_bpe"], tokenizers["tiny"]
    base, candidate = read_text(a, text), read_text(b, text)
    left, right = boundaries(a, base.tokens), boundaries(b, candidate.tokens)
    expected = sorted((left[read], right[read]) for read in left.keys() & right.keys())
    found = align(base, candidate)
    if base != candidate:
        assert found == expected
    assert [j for _, j in found] == sorted(j for _, j in found)


@checked
@given(
    text=texts_of(ODD + MARKED, no_wide_spaces),
    kinds=st.sampled_from([("byte_bpe", "tiny"), ("tiny", "metaspace_bpe")]),
)
def test_every_pair_of_algorithm_1_is_found_until_it_gives_up(
    tokenizers: dict[str, Tokenizer], text: str, kinds: tuple[str, str]
) -> None:
    a, b = (tokenizers[kind] for kind in kinds)
    base, candidate = read_text(a, text), read_text(b, text)
    oracle = align_windows(as_tokens(a, base.tokens), as_tokens(b, candidate.tokens)).pairs
    assert set(oracle) <= set(align(base, candidate))


@checked
@given(text=texts_of(ODD, st.sampled_from(ODD)))
def test_where_algorithm_1_does_not_give_up_it_finds_the_same_pairs(
    tokenizers: dict[str, Tokenizer], text: str
) -> None:
    a, b = tokenizers["byte_bpe"], tokenizers["metaspace_bpe"]
    base, candidate = read_text(a, text), read_text(b, text)
    oracle = align_windows(as_tokens(a, base.tokens), as_tokens(b, candidate.tokens))
    if oracle.complete and base != candidate:
        assert align(base, candidate) == oracle.pairs


def as_tokens(tokenizer: Tokenizer, tokens: Sequence[int]) -> Tokens:
    return Tokens(tokens, tokenizer.decode, tokenizer.special_tokens)
