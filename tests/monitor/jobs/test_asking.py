"""What may be asked about an alert, by whom it is bounded, and that the rest is refused."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import select

from alerts.alert_steps import Refusal
from alerts.question import PromptAsked, SeedsAsked, SuiteAsked
from alerts.verdict import Verdict
from monitor.database.schema import AlertRow, Question
from monitor.jobs.asked_suites import bundled_behaviours
from monitor.jobs.asking import Offer, offer_of, put
from monitor.jobs.questions import (
    MOST_WAITING,
    fail_question,
)
from tests.alerts import samples
from tests.alerts.suites import suite_json
from tests.monitor.conftest import BOTH_DATABASES
from tests.monitor.jobs.questions import FEATURE, claim, give_answer, put_prompt
from tests.monitor.paging.alerting import Desk


def test_no_more_than_five_wait_for_an_alert(flagged: Desk) -> None:
    for _ in range(MOST_WAITING):
        put_prompt(flagged)
    asked = PromptAsked(prompt="a sixth?", feature=FEATURE)
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        refused = put(session, alert, asked, "slack:U0BEN", flagged.clock(), [])
        assert isinstance(refused, Refusal) and "5 questions about this alert" in refused.reason
    give_answer(flagged, "yes")
    put_prompt(flagged, "a sixth?")


def test_a_suite_is_not_asked_about_twice_while_it_waits(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        asked = SuiteAsked(suite=offer.suites[0])
        assert isinstance(put(session, alert, asked, "ann", flagged.clock(), []), Question)
        again = put(session, alert, asked, "ann", flagged.clock(), [])
        assert isinstance(again, Refusal) and "asks that already" in again.reason


@BOTH_DATABASES
def test_of_many_who_ask_for_seeds_at_once_one_is_served(flagged: Desk) -> None:
    begin, alert_id = threading.Barrier(4), flagged.alert().id

    def ask(seeds: int) -> Question | Refusal:
        begin.wait()
        with flagged.sessions.begin() as session:
            alert = session.get_one(AlertRow, alert_id)
            asked = SeedsAsked(seeds=seeds)
            return put(session, alert, asked, "ann", flagged.clock(), [])

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, [1, 2, 3, 1]))
    refused = [result for result in results if isinstance(result, Refusal)]
    assert len(refused) == 3 and all("asks that already" in one.reason for one in refused)
    claimed = claim(flagged)
    assert claimed is not None
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        again = put(session, alert, SeedsAsked(seeds=1), "ben", flagged.clock(), [])
        assert isinstance(again, Refusal) and "is running" in again.reason
    with flagged.sessions.begin() as session:
        fail_question(session, claimed.id, claimed.fence, "no room", flagged.clock())
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        assert isinstance(put(session, alert, SeedsAsked(seeds=1), "ben", 0.0, []), Question)


def test_seeds_are_for_what_was_trained(desk: Desk) -> None:
    untrained = samples.flagged_json()
    untrained["recipe"]["tokens"] = None
    base = desk.add_version("v1", trusted=True)
    desk.check(base, "v2", Verdict.model_validate(untrained))
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        refused = put(session, alert, SeedsAsked(seeds=1), "ann", desk.clock(), [])
    assert isinstance(refused, Refusal) and "trained no crosscoder" in refused.reason


@pytest.mark.parametrize("seeds", [0, -1, 4, "many"])
def test_the_number_of_seeds_is_bounded(seeds: object) -> None:
    with pytest.raises(ValidationError):
        SeedsAsked.model_validate({"seeds": seeds})


def test_only_what_was_found_can_be_asked_about(flagged: Desk) -> None:
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        assert [f.id for f in offer.features] == ["candidate-10", "candidate-17", "candidate-24"]
        assert not {"sycophancy", "capability"} & set(offer.suites) and offer.suites
        for asked in (
            PromptAsked(prompt="p", feature="base-31"),
            SuiteAsked(suite="sycophancy"),
            SuiteAsked(suite="capability"),
        ):
            refused = put(session, alert, asked, "ann", flagged.clock(), [])
            assert isinstance(refused, Refusal) and "can't be asked about" in refused.reason
        assert session.scalars(select(Question)).all() == []


def test_of_what_could_not_be_checked_suites_alone_can_be_asked_about(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", None)
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        offer = offer_of(session, alert, [])
        assert isinstance(offer, Offer)
        assert (offer.features, offer.seeds) == ([], False) and "sycophancy" in offer.suites
        asked = SuiteAsked(suite="sycophancy")
        assert isinstance(put(session, alert, asked, "ann", 0.0, []), Question)
        alert.state = "quarantined"
        ended = offer_of(session, alert, [])
        assert isinstance(ended, Refusal) and ended.reason == "already quarantined"


def test_where_all_was_measured_and_nothing_found_there_is_nothing_to_ask(desk: Desk) -> None:
    told = samples.undecided().model_dump()
    [measured, *_] = samples.flagged().model_dump()["behaviours"]
    told["features"] = []
    told["behaviours"] = [
        measured | {"name": name, "flagged": False} for name in bundled_behaviours()
    ]
    desk.check(desk.add_version("v1", trusted=True), "v2", Verdict.model_validate(told))
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        refused = offer_of(session, alert, [])
    assert isinstance(refused, Refusal) and "measured every suite" in refused.reason


def test_before_a_comparison_has_ended_nothing_is_asked(desk: Desk) -> None:
    desk.check(desk.add_version("v1", trusted=True), "v2", None)
    with desk.sessions.begin() as session:
        alert = session.get_one(AlertRow, desk.alert().id)
        alert.finding, alert.diff_id = "unchecked", None
        refused = offer_of(session, alert, [])
    assert isinstance(refused, Refusal) and "no comparison of it has ended" in refused.reason


def test_the_operators_own_suites_can_be_asked_for_and_a_broken_one_can_not(
    flagged: Desk, tmp_path: Path
) -> None:
    mine, control, broken = (tmp_path / f"{n}.json" for n in ("mine", "control", "broken"))
    mine.write_text(json.dumps(suite_json(behaviour="sycophancy")))
    facts = suite_json(behaviour="facts", role="control")
    del facts["minimum_effect"]
    control.write_text(json.dumps(facts))
    broken.write_text("{")
    entries = ["capability", *map(str, (mine, control, broken, tmp_path / "gone.json"))]
    with flagged.sessions.begin() as session:
        alert = session.get_one(AlertRow, flagged.alert().id)
        offer = offer_of(session, alert, entries)
        assert isinstance(offer, Offer)
        # The check has measured what is called so; the file may be another one since.
        assert offer.suites.count("sycophancy") == 1 and "facts" not in offer.suites
        asked = SuiteAsked(suite="sycophancy")
        assert isinstance(put(session, alert, asked, "ann", 0.0, []), Refusal)
        assert isinstance(put(session, alert, asked, "ann", 0.0, entries), Question)
        mine.write_text(json.dumps(suite_json(behaviour="hostile_tone")))
        offer = offer_of(session, alert, entries)
        assert isinstance(offer, Offer) and offer.suites.count("hostile_tone") == 1


@pytest.mark.parametrize("prompt", ["", " \n\x00\u200b ", "x" * 2001])
def test_a_prompt_is_bounded(prompt: str) -> None:
    with pytest.raises(ValidationError):
        PromptAsked(prompt=prompt, feature=FEATURE)


@pytest.mark.parametrize("suite", ["../secret.json", "a.json", "A", "", "x" * 101])
def test_a_suite_is_a_name_and_no_path(suite: str) -> None:
    with pytest.raises(ValidationError):
        SuiteAsked(suite=suite)
