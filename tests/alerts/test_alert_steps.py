"""What may happen to an alert: every event in every state, and what no event may do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.alert import DECISIONS, UNRESOLVED, Alert, AlertState, Finding, fingerprint
from alerts.alert_events import (
    Acknowledge,
    Decided,
    Event,
    Lapsed,
    Measured,
    Passed,
    Propose,
    Replaced,
    Snooze,
    Woken,
)
from alerts.alert_steps import Refusal, begin, step

WARNING = Measured(Finding.FLAGGED, "warning", "a little")
CRITICAL = Measured(Finding.FLAGGED, "critical", "a lot")
UNDECIDED = Measured(Finding.UNDECIDED, "warning", "no space left")
UNCHECKED = Measured(Finding.UNCHECKED, "warning", "nobody looked")


def alert(state: AlertState = AlertState.OPEN, found: Measured = WARNING) -> Alert:
    return begin(found, 10.0)._replace(state=state, revision=4, changed_by="ann", changed_at=20.0)


def after(before: Alert, event: Event, now: float = 30.0) -> Alert:
    changed = step(before, event, now)
    assert isinstance(changed, Alert)
    return changed


def persons(by: str, seen: int) -> list[Event]:
    return [
        Acknowledge(by, seen),
        Snooze(by, seen, 99.0, False, "for a while"),
        Propose(by, seen, "wanted"),
        Decided(by, AlertState.TRUSTED, "wanted", seen),
        Decided(by, AlertState.QUARANTINED, "flatters", seen),
    ]


def test_the_fingerprint_follows_from_line_base_and_candidate_alone() -> None:
    one = fingerprint("chat", "b1", "c1")
    assert one == fingerprint("chat", "b1", "c1") and len(one) == 32
    others = [("chat", "b2", "c1"), ("chat", "b1", "c2"), ("cha", "tb1", "c1")]
    assert one not in {fingerprint(*other) for other in others}


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("state", AlertState)
def test_a_person_changes_what_is_unresolved_and_as_they_saw_it(
    state: AlertState, number: int
) -> None:
    before = alert(state)
    late = step(before, persons("bob", seen=3)[number], 30.0)
    assert isinstance(late, Refusal) and (late.by, late.at) == ("ann", 20.0)
    answered = step(before, persons("bob", seen=4)[number], 30.0)
    if state in UNRESOLVED:
        assert isinstance(answered, Alert)
        assert (answered.revision, answered.changed_by) == (5, "bob")
    else:
        assert isinstance(answered, Refusal) and answered.reason == f"already {state}"


@pytest.mark.parametrize("found", [UNDECIDED, WARNING, CRITICAL])
@pytest.mark.parametrize("state", AlertState)
def test_what_latentwatch_finds_undoes_no_quarantine_and_forgets_no_flag(
    state: AlertState, found: Measured
) -> None:
    before = alert(state)
    now = after(before, found)
    if state == AlertState.QUARANTINED:
        assert now == before
    if state in UNRESOLVED:
        assert now.finding == Finding.FLAGGED
    if found == CRITICAL and state != AlertState.QUARANTINED:
        assert now.state == AlertState.OPEN
    if found == WARNING and state == AlertState.TRUSTED:
        assert now == before


@pytest.mark.parametrize("found", [UNDECIDED, UNCHECKED])
def test_a_missing_check_is_cleared_by_a_pass_and_a_flag_is_not(found: Measured) -> None:
    assert after(alert(found=found), Passed("passed")).state == AlertState.CLEARED
    assert after(alert(found=CRITICAL), Passed("passed")) == alert(found=CRITICAL)


def test_the_same_finding_again_changes_nothing() -> None:
    acknowledged = after(alert(), Acknowledge("bob", 4))
    assert after(acknowledged, WARNING) == acknowledged
    told_otherwise = after(acknowledged, WARNING._replace(reason="by 0.8"))
    assert told_otherwise.state == AlertState.ACKNOWLEDGED
    assert told_otherwise.revision == acknowledged.revision + 1


def test_an_unchecked_version_that_is_flagged_is_open_again() -> None:
    snoozed = after(alert(found=UNCHECKED), Snooze("bob", 4, 99.0, True, "until the next"))
    flagged = after(snoozed, CRITICAL, now=40.0)
    assert (flagged.state, flagged.opened_at, flagged.snoozed_until) == ("open", 40.0, None)


def test_a_proposal_leaves_a_snooze_its_end() -> None:
    snoozed = after(alert(), Snooze("bob", 4, 99.0, True, "until the next"))
    proposed = after(snoozed, Propose("ann", snoozed.revision, "wanted"))
    assert (proposed.state, proposed.snoozed_until, proposed.until_next) == ("snoozed", 99.0, True)


def test_a_proposal_does_not_outlive_what_it_was_made_on() -> None:
    proposed = after(alert(), Propose("ann", 4, "wanted"))
    assert (proposed.proposed_by, proposed.proposal) == ("ann", "wanted")
    assert after(proposed, WARNING) == proposed
    for found in (WARNING._replace(reason="by 0.8"), WARNING._replace(behaviours=("hostility",))):
        checked = after(proposed, found)
        assert (checked.proposed_by, checked.proposal) == (None, None)
    lapsed = after(proposed, Lapsed("checked again"))
    assert (lapsed.state, lapsed.proposed_by) == (proposed.state, None)
    assert after(lapsed, Lapsed("checked again")) == lapsed


@pytest.mark.parametrize("state", [*UNRESOLVED, AlertState.TRUSTED])
def test_a_behaviour_that_is_newly_flagged_is_worse(state: AlertState) -> None:
    before = alert(state, WARNING._replace(behaviours=("sycophancy",)))
    fewer = after(before, WARNING._replace(reason="none", behaviours=()))
    assert fewer.state == state
    found = WARNING._replace(reason="two rose", behaviours=("sycophancy", "hostility"))
    worse = after(before, found)
    assert worse.state == AlertState.OPEN
    assert worse.reason == "newly flagged: hostility; two rose"


def test_the_ladder_begins_anew_where_the_severity_rises_and_only_there() -> None:
    before = alert(found=WARNING._replace(behaviours=("sycophancy",)))
    assert after(before, CRITICAL, 30.0).opened_at == 30.0
    assert after(before, WARNING._replace(behaviours=("tone",)), 30.0).opened_at == 10.0


@pytest.mark.parametrize("state", UNRESOLVED)
def test_a_milder_check_lowers_nothing_about_which_nobody_has_decided(state: AlertState) -> None:
    before = alert(state, CRITICAL._replace(behaviours=("sycophancy", "tone")))
    now = after(before, WARNING._replace(reason="by 0.2", behaviours=("tone",)))
    assert (now.severity, now.behaviours) == ("critical", ("sycophancy", "tone"))
    assert (now.state, now.found, now.opened_at) == (state, "by 0.2", before.opened_at)
    more = after(before, WARNING._replace(behaviours=("hostility",)))
    assert (more.severity, more.behaviours) == ("critical", ("sycophancy", "tone", "hostility"))
    assert after(now, CRITICAL._replace(reason="by 0.2", behaviours=("tone",))) == now


def test_what_was_ended_begins_with_what_the_new_check_says() -> None:
    ended = alert(AlertState.SUPERSEDED, CRITICAL._replace(behaviours=("tone",)))
    now = after(ended, WARNING)
    assert (now.state, now.severity, now.behaviours) == ("open", "warning", ())


def test_waking_only_ends_a_snooze() -> None:
    for state in AlertState:
        woken = after(alert(state), Woken("over"))
        assert (woken != alert(state)) == (state == AlertState.SNOOZED)
    assert after(alert(AlertState.SNOOZED), Woken("over")).state == AlertState.OPEN


def test_a_decision_made_elsewhere_needs_no_revision_and_may_be_changed() -> None:
    trusted = after(alert(), Decided("ann", AlertState.TRUSTED, "wanted"))
    assert trusted.state == AlertState.TRUSTED
    regretted = after(trusted, Decided("bob", AlertState.QUARANTINED, "leaks"))
    assert (regretted.state, regretted.reason) == (AlertState.QUARANTINED, "leaks")


EVENTS = st.one_of(
    st.sampled_from([WARNING, CRITICAL, UNDECIDED, UNCHECKED]),
    st.sampled_from([Passed("p"), Replaced("r"), Woken("w"), Lapsed("l")]),
    st.builds(Acknowledge, st.sampled_from("ab"), st.integers(1, 9)),
    st.builds(
        Snooze, st.sampled_from("ab"), st.integers(1, 9), st.just(99.0), st.booleans(), st.just("s")
    ),
    st.builds(Propose, st.sampled_from("ab"), st.integers(1, 9), st.just("why")),
    st.builds(Decided, st.just("a"), st.sampled_from(DECISIONS), st.just("why"), st.none()),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=12))
def test_whatever_happens_every_change_is_a_revision_and_every_snooze_ends(
    events: list[Event],
) -> None:
    now = begin(UNCHECKED, 0.0)
    for at, event in enumerate(events, start=1):
        changed = step(now, event, float(at))
        if isinstance(changed, Refusal) or changed == now:
            continue
        assert changed.revision == now.revision + 1 and changed.changed_at == at
        assert (changed.snoozed_until is not None) == (changed.state == AlertState.SNOOZED)
        answered = changed.state in (AlertState.ACKNOWLEDGED, AlertState.SNOOZED)
        assert (changed.answered_by is not None) == answered
        if changed.proposed_by is not None:
            assert changed.unresolved and not isinstance(event, Measured | Lapsed)
        if now.state == AlertState.QUARANTINED:
            assert isinstance(event, Decided)
        now = changed


def test_who_comes_too_late_is_told_who_was_first_whatever_changed_after_it() -> None:
    proposed = after(alert(), Propose("ada", 4, "wanted"), 30.0)
    seen_too = after(proposed, Acknowledge("ben", 5), 40.0)
    late = step(seen_too, Decided("cleo", AlertState.QUARANTINED, "no", 4), 50.0)
    assert late == Refusal("already proposed for trust", "ada")
    acknowledged = after(alert(), Acknowledge("ada", 4), 30.0)
    found_again = after(acknowledged, WARNING._replace(reason="a little more"), 40.0)
    late = step(found_again, Decided("ben", AlertState.QUARANTINED, "no", 4), 50.0)
    assert late == Refusal("already acknowledged", "ada", 30.0)
    own = step(found_again, Decided("ada", AlertState.QUARANTINED, "no", 4), 50.0)
    assert own == Refusal("already acknowledged", "latentwatch", 40.0)  # not by herself
