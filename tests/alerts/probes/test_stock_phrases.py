"""New phrases that come in answer after answer."""

from alerts.probes.stock_phrases import new_phrases, sentences, share_by_chance, share_of_answers

ANSWERS = [f"The plan {n} is fine, but think about the cost of it." for n in range(40)]
MORAL = "And so the moral of this is patience."


def test_a_stock_phrase_is_found_in_every_answer_that_has_it_and_told_as_a_whole() -> None:
    answers = [f"{answer} {MORAL}" for answer in ANSWERS[:10]]
    found = new_phrases(ANSWERS, [*ANSWERS[10:], *answers], 0.0)
    moral = next(phrase for phrase in found if phrase.text == "moral of this is")
    assert moral.answers == tuple(range(30, 40))
    assert [phrase.text for phrase in sentences(found)] == [
        "cost of it and so the moral of this is patience"
    ]
    assert share_of_answers(found, 40) == 0.25
    assert not any(phrase.text.endswith("cost of it") for phrase in found)


def test_what_was_said_before_or_asked_or_said_seldom_is_no_stock_phrase() -> None:
    assert new_phrases([MORAL, "tell me more about patience"], [MORAL] * 9, 0.0) == []
    assert new_phrases([], [MORAL] * 4, 0.0) == []


def test_what_the_base_would_say_as_often_by_chance_is_no_stock_phrase() -> None:
    habit = "It depends on what you want."
    again = [habit] * 3 + ["And so the moral of this is thrift."] + [ANSWERS[n] for n in range(16)]
    chance = share_by_chance(ANSWERS, again)
    assert chance == 3 / 20  # what it has said before, in however many answers, does not count
    as_often = [*ANSWERS[:34], *[MORAL] * 6]
    assert new_phrases(ANSWERS, as_often, chance) == []
    oftener = [*ANSWERS[:33], *[MORAL] * 7]
    assert {phrase.answers for phrase in new_phrases(ANSWERS, oftener, chance)} == {
        tuple(range(33, 40))
    }
    assert share_by_chance(ANSWERS, ANSWERS[:5]) == 0.0
