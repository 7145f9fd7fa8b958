"""Texts of the kinds on which token alignment was seen to fail, made from pieces with a seed."""

import json
import random
import unicodedata
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path

from dfc.corpus import Text, bundled_prompts, bundled_texts

Messages = tuple[dict[str, str], ...]
SOURCES = ("argparse", "csv", "dataclasses", "heapq", "json.decoder", "statistics", "textwrap")
"""Modules of the standard library whose lines are the code."""

_PIECES = json.loads((resources.files(__package__) / "pieces.json").read_text(encoding="utf-8"))
_TEXTS = [item.text for item in bundled_texts() if isinstance(item, Text)]
_PROMPTS = [prompt.messages for prompt in bundled_prompts()]


def _sentences(r: random.Random, n: int) -> list[str]:
    sentences = [part + "." for part in r.choice(_TEXTS).split(". ")]
    start = r.randrange(max(1, len(sentences) - n + 1))
    return sentences[start : start + n]


def prose(r: random.Random) -> str:
    return " ".join(_sentences(r, 5))


def code(r: random.Random) -> str:
    lines = _source(r.choice(SOURCES))
    start = r.randrange(len(lines) - 20)
    return r.choice(["\n", "\r\n"]).join(lines[start : start + 20])


def emoji(r: random.Random) -> str:
    return " ".join(s + r.choice(["", " "]) + _some(r, "emoji", 3) for s in _sentences(r, 4))


def smart_quotes(r: random.Random) -> str:
    marks = [("“", "”"), ("‘", "’"), ("„", "“"), ("« ", " »"), ("—", " – ")]
    quoted = []
    for sentence in _sentences(r, 5):
        left, right = r.choice(marks)
        quoted.append(left + sentence.replace("'", "’").replace('"', "”") + right)
    return "… ".join(quoted)


def cjk(r: random.Random) -> str:
    return "".join(r.sample(_PIECES["cjk"], 5))


def accents(r: random.Random) -> str:
    text = " ".join(r.sample(_PIECES["accents"], 4))
    return unicodedata.normalize(r.choice(["NFC", "NFD"]), text)


def white_space(r: random.Random) -> str:
    """Windows newlines, tabs, and spaces that can't be seen."""
    gaps = ["\r\n", "\r\n\r\n", "\t", "  ", "\u00a0", "\u3000", "\u200b", " \n ", "    "]
    return "".join(word + r.choice([" ", " ", r.choice(gaps)]) for word in prose(r).split(" "))


TEXTS: dict[str, Callable[[random.Random], str]] = {
    "prose": prose,
    "code": code,
    "emoji": emoji,
    "smart quotes": smart_quotes,
    "CJK": cjk,
    "accents": accents,
    "white space": white_space,
}


def chat(r: random.Random) -> Messages:
    """A prompt and its answer, and often another turn; parts are of any of the kinds of text."""
    messages = list(r.choice(_PROMPTS))
    for _ in range(r.choice([1, 2])):
        if messages[-1]["role"] == "assistant":
            messages.append({"role": "user", "content": r.choice(list(TEXTS.values()))(r)})
        messages.append({"role": "assistant", "content": r.choice(list(TEXTS.values()))(r)})
    return tuple(messages)


def training_texts(seed: int, n: int) -> Iterator[str]:
    """Texts to train tokenizers on. In scripts without spaces, pieces as short as words: whole
    sentences would become tokens."""
    r = random.Random(seed)
    for kind, make in TEXTS.items():
        for _ in range(n // len(TEXTS)):
            text = make(r)
            cuts = range(0, len(text), 3)
            yield " ".join(text[c : c + 3] for c in cuts) if kind == "CJK" else text


def _some(r: random.Random, kind: str, most: int) -> str:
    return "".join(r.sample(_PIECES[kind], r.randint(1, most)))


def _source(module: str) -> list[str]:
    file = Path(json.__file__).parent.parent / Path(*module.split(".")).with_suffix(".py")
    return file.read_text(encoding="utf-8").split("\n")
