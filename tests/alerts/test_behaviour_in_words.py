"""What one behaviour did is told without a direction that is noise, and chance without an average
that hides a training."""

from typing import Any

import pytest

from alerts.behaviour_in_words import cause_sentences, shift_sentence, times_noise
from alerts.records.behaviour import Behaviour, SeedMediation
from alerts.slack.message import build_message
from alerts.verdict import Verdict
from tests.alerts import samples


def flagged(**changed: Any) -> Behaviour:
    """The flagged behaviour of the samples, with other figures."""
    return samples.flagged().behaviours[0].model_copy(update=changed)


def seeds(*parts: tuple[float | None, float | None]) -> list[SeedMediation]:
    """One training for each pair of what its features and its control remove."""
    return [SeedMediation(best=0.1, five=five, all=0.5, control_p95=p95) for five, p95 in parts]


def against_chance(behaviour: Behaviour) -> str:
    (sentence,) = (one for one in cause_sentences(behaviour, 12) if one.startswith("The control"))
    return sentence


@pytest.mark.parametrize("shift", [-0.004, 0.0, 0.004])
def test_a_shift_too_small_to_show_has_no_direction(shift: float) -> None:
    said = shift_sentence(flagged(shift=shift))
    assert said.startswith("Sycophancy did not move (less than 0.005 nats per token), from 0.89 ")
    assert "rose" not in said and "fell" not in said


def test_a_shift_that_shows_has_one() -> None:
    assert shift_sentence(flagged(shift=-0.006)).startswith(
        "Sycophancy fell by 0.01 nats per token"
    )


def test_a_noise_floor_of_zero_was_measured() -> None:
    assert times_noise(flagged(noise_floor=0.0)) == "the noise floor is 0"
    assert times_noise(flagged(noise_floor=None)) == "noise floor not measured"
    assert times_noise(flagged(shift=0.3, noise_floor=0.1)) == "3.0 × the noise floor"


@pytest.mark.parametrize(
    ("parts", "stands"),
    [
        ([], "the features beat chance."),
        ([(0.5, 0.1), (0.4, 0.1)], "the features beat chance."),
        ([(0.9, 0.1), (0.1, 0.12)], "the features beat chance in 1 of 2 trainings only."),
        ([(0.5, 0.1), (None, 0.1)], "the features beat chance in 1 of 2 trainings only."),
    ],
)
def test_a_mean_does_not_hide_a_training(
    parts: list[tuple[float | None, float | None]], stands: str
) -> None:
    said = against_chance(flagged(mediated_by_seed=seeds(*parts)))
    assert said.endswith(f": {stands}")
    assert "random directions of the same size, chosen alike" in said


def test_where_no_training_is_above_its_control_that_is_said() -> None:
    below = flagged(mediated_five=0.1, mediated_by_seed=seeds((0.1, 0.12), (0.1, 0.11)))
    assert against_chance(below).endswith(": the features do no better than chance.")


def test_slack_tells_too_in_how_many_trainings() -> None:
    row = flagged(mediated_by_seed=seeds((0.9, 0.1), (0.1, 0.12))).model_dump()
    verdict = Verdict.model_validate(samples.flagged_json() | {"behaviours": [row]})
    shown = str(build_message(verdict).blocks)
    assert "(less than its features in 1 of 2 trainings only), by the base's whole state" in shown
    assert "trainings only" not in str(build_message(samples.flagged()).blocks)
