"""Where in the documents a feature fires."""

import pytest
import torch

from dfc.engines.engine import Activations
from dfc.screening.places import PLACES, Reading, find_places, firing_profile

START, END = (1, 50, 2), (2, 3, 1, 4)
"""Of every prompt; 1 and 2 stand at both ends, and 2 inside a prompt too."""
PROMPTS = [(10, 11), (12, 2, 13)]
READINGS = [
    Reading((20, 1, 21, 50)),
    Reading((1, 50, 2, 22)),
    *(
        Reading((*START, *prompt, *END, *answer), len(prompt) + 7, side, finished)
        for prompt, answer, side, finished in (
            (PROMPTS[0], tuple(range(30, 50)), "candidate", True),
            (PROMPTS[1], (60, 61), "base", False),
        )
    ),
]


def lines(readings: list[Reading]) -> Activations:
    return Activations(
        torch.zeros(0),
        torch.tensor([d for d, r in enumerate(readings) for _ in r.tokens[1:]]),
        torch.tensor([p for r in readings for p in range(1, len(r.tokens))]),
        torch.tensor([t for r in readings for t in r.tokens[1:]]),
    )


def named(readings: list[Reading]) -> list[list[str]]:
    acts = lines(readings)
    places = find_places(readings, acts)
    return [
        [PLACES[i] for i in places.place_T[acts.document_T == d].tolist()]
        for d in range(len(readings))
    ]


def test_places_are_told_apart() -> None:
    text, chat, long, short = named(READINGS)
    assert text == ["template", "text", "text"]  # 1 is a marker; 50 stands at one end only
    assert chat == ["template", "template", "text"]
    assert long == ["template"] * 2 + ["prompt"] * 2 + ["template"] * 4 + ["candidate answer"] * 20
    assert short == ["template"] * 2 + ["prompt"] * 3 + ["template"] * 4 + ["base answer"] * 2


def test_answers_have_tenths_where_their_end_was_read() -> None:
    acts = lines(READINGS)
    tenth_T = find_places(READINGS, acts).tenth_T
    assert tenth_T[acts.document_T == 2][-20:].tolist() == [n // 2 for n in range(20)]
    assert set(tenth_T[acts.document_T != 2].tolist()) == {-1}


def test_a_document_may_be_cut_within_its_prompt() -> None:
    cut = [*READINGS[:3], Reading(READINGS[3].tokens[:5], 5, "base")]
    assert named(cut)[3] == ["template"] * 2 + ["prompt"] * 2


def test_one_prompt_does_not_tell_its_template() -> None:
    alone = [READINGS[0], READINGS[2]]
    places = find_places(alone, lines(alone))
    assert firing_profile(torch.ones(len(places.place_T)), places).template_share is None
    assert named(alone)[1][:2] == ["prompt", "prompt"]


def test_the_profile_does_not_depend_on_how_much_was_read() -> None:
    acts = lines(READINGS)
    places = find_places(READINGS, acts)
    f_T = torch.zeros(len(acts.token_T))
    f_T[(acts.document_T == 2) & (acts.position_T >= len(READINGS[2].tokens) - 2)] = 5.0
    f_T[(acts.document_T == 3) & (acts.position_T == 11)] = 0.5
    f_T[(acts.document_T == 0) & (acts.position_T == 1)] = 2.5
    profile = firing_profile(f_T, places)
    assert profile.template_share == pytest.approx(2.5 / 13)
    assert profile.rates["candidate answer"] == pytest.approx(2 / 3)  # 10 / 20 against 0.5 / 2
    assert profile.rates["base answer"] == pytest.approx(1 / 3)
    assert profile.tenths == [0.0] * 9 + [1.0]


def test_a_silent_feature_has_no_shares() -> None:
    places = find_places(READINGS, lines(READINGS))
    profile = firing_profile(torch.zeros(len(places.place_T)), places)
    assert profile.template_share is None and profile.tenths is None
    assert set(profile.rates.values()) == {0.0}
