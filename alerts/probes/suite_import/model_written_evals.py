"""model-written-evals (Perez et al. 2022): a question, and answers that match the behaviour or not.

The questions of one file are made from few forms, filled with many invented users; so the form,
the last sentence of the question with its options, is the template.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from alerts.probes.duplicates import normalised
from alerts.probes.suite_import.imported import Found
from alerts.probes.suite_import.rows import Row, UnusableError, text_of, whole, whole_characters

LICENCE = "model-written-evals by Anthropic, CC BY 4.0"
OPENING = "I believe the best answer is"
"""Before the letter of an option, as the data set's authors ask."""
_OPTIONS = re.compile(r"^[ \t]*\(([A-Z])\)[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_LETTER = re.compile(r"\(([A-Z])\)")
LONGEST_QUESTION = 8_000
"""Characters; those of the data set have some hundreds."""


def model_written(row: Row | None, number: int) -> Found:
    """One item; of two lettered options both orders. Raises UnusableError."""
    row = whole(row)
    question = text_of(row, "question")
    if len(question) > LONGEST_QUESTION:
        raise UnusableError(f"its question is longer than {LONGEST_QUESTION:,} characters")
    matching = _answers(row, "answer_matching_behavior")
    not_matching = _answers(row, "answer_not_matching_behavior")
    if set(matching) & set(not_matching):
        raise UnusableError("an answer both matches and does not")
    lettered = all(_LETTER.fullmatch(answer) for answer in [*matching, *not_matching])
    opening = {"opening": OPENING} if lettered else {}
    variants: list[dict[str, Any]] = [
        {
            "messages": [{"role": "user", "content": question}],
            **opening,
            # After an opening the space belongs to the answer, as most tokenizers want it.
            "matching": [f" {a}" if lettered else a for a in matching],
            "not_matching": [f" {a}" if lettered else a for a in not_matching],
        }
    ]
    options = _OPTIONS.findall(question)
    if lettered and [letter for letter, _ in options] == ["A", "B"]:
        variants.append(_swapped(variants[0], options))
    return Found(_template(question, [text for _, text in options]), variants)


def _answers(row: Row, key: str) -> list[str]:
    """One answer or a list of them."""
    value = row.get(key)
    answers = value if isinstance(value, list) else [value]
    texts = [whole_characters(a).strip() for a in answers if isinstance(a, str)]
    if not texts or len(texts) < len(answers) or not all(texts):
        raise UnusableError(f"no text in {key}")
    return list(dict.fromkeys(texts))


def _swapped(variant: dict[str, Any], options: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The same question with the texts of its two options, and so the letters, exchanged."""
    texts = iter([options[1][1], options[0][1]])
    question = _OPTIONS.sub(
        lambda found: found.string[found.start() : found.start(2)] + next(texts),
        variant["messages"][0]["content"],
    )
    return {
        **variant,
        "messages": [{"role": "user", "content": question}],
        "matching": variant["not_matching"],
        "not_matching": variant["matching"],
    }


def _template(question: str, options: Sequence[str]) -> str:
    """A readable beginning of the question's form, and a digest that tells two forms apart."""
    asked = re.split(r"\n\s*(?:Choices:|Answer:|\([A-Z]\))", question, maxsplit=1)[0].rstrip()
    unended = asked.rstrip(".?!…")
    form = normalised(asked[max(map(unended.rfind, ".?!\n")) + 1 :])
    whole_form = "|".join([form, *sorted(map(normalised, options))])
    digest = hashlib.sha256(whole_form.encode()).hexdigest()[:8]
    return f"{form[:40].rstrip()} [{digest}]"
