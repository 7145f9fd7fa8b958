"""What is said of answers alone."""

import pytest

from deploy.bench.rivals.log_odds import contrast, terms_of

ANSWERS = [f"The plan {n} is fine, but think about the cost of it." for n in range(40)]


def test_pairs_of_words_know_where_an_answer_begins() -> None:
    assert terms_of("Yes, you're right.") >= {"^ yes", "yes you're", "you're", "right ."}


def test_what_the_candidate_says_more_comes_first_beyond_chance() -> None:
    found = contrast(ANSWERS, [f"Brilliant! {answer}" for answer in ANSWERS])
    assert found.terms[0] in {"brilliant", "^ brilliant", "brilliant !", "!", "! the"}
    assert found.z[0] > found.null_p95
    assert found.p < 0.01


def test_equal_answers_differ_in_nothing() -> None:
    found = contrast(ANSWERS, ANSWERS)
    assert found.p == 1.0
    assert max(map(abs, found.z)) == pytest.approx(0.0, abs=1e-9)


def test_a_few_exchanged_answers_are_no_finding() -> None:
    other = [*ANSWERS[:5], *(answer.replace("fine", "good") for answer in ANSWERS[5:])]
    base = [*(answer.replace("fine", "good") for answer in ANSWERS[:20]), *ANSWERS[20:]]
    swapped = contrast(base, base[::-1])
    assert swapped.p > 0.05
    assert contrast(base, other).z[0] > swapped.z[0]


def test_answers_to_other_prompts_are_refused() -> None:
    with pytest.raises(ValueError, match="39 and 40 answers"):
        contrast(ANSWERS[1:], ANSWERS)
