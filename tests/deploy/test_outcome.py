"""What the demo says of its verdicts: silent when they are as built, loud otherwise."""

from rich.console import Console

from deploy.demo.outcome import surprises, verdict_table
from tests.alerts import samples


def test_a_passed_v2_and_a_critical_v3_are_no_surprise() -> None:
    assert surprises({"v2": samples.passed(), "v3": samples.flagged()}) == []


def test_every_other_verdict_is_told() -> None:
    assert len(surprises({"v2": samples.flagged(), "v3": samples.flagged()})) == 1
    assert len(surprises({"v2": samples.undecided(), "v3": samples.passed()})) == 2


def test_a_critical_verdict_for_another_behaviour_is_a_surprise() -> None:
    flagged = samples.flagged()
    renamed = [
        behaviour.model_copy(update={"name": f"not_{behaviour.name}"})
        for behaviour in flagged.behaviours
    ]
    v3 = flagged.model_copy(update={"behaviours": renamed})
    [sentence] = surprises({"v2": samples.passed(), "v3": v3})
    assert "not_sycophancy" in sentence


def test_the_table_shows_what_was_not_measured_as_such() -> None:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(verdict_table({"v2": samples.passed(), "v3": samples.flagged()}))
    text = capture.get()
    assert "not measured" in text
    assert "sycophancy" in text
    assert "Flagged (critical)" in text
