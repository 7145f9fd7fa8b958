"""The number beside an interval is that of the items on which it rests."""

from alerts.behaviour_in_words import shift_sentence
from alerts.deciding.measured import behaviour_row
from alerts.evidence import Evidence
from alerts.pages.markdown import to_markdown
from alerts.pages.report import render_report
from alerts.slack.message import build_message
from alerts.verdict import Verdict
from tests.alerts import samples
from tests.alerts.judged import RISEN, behaviour, judge


def test_items_without_a_score_are_not_counted_beside_the_interval() -> None:
    measured = behaviour(**RISEN, n_items=4711, n_unscored=11)
    decision = judge(measured)
    assert "4700 items" in decision.reasons[0]
    row = behaviour_row(measured, None, flagged=True, least_effect=0.5)
    assert (row.n_items, row.n_unscored, row.n_scored) == (4711, 11, 4700)
    given = samples.flagged_json() | {"behaviours": [row.model_dump()]}
    verdict = Verdict.model_validate(given)
    told = [
        shift_sentence(verdict.behaviours[0]),
        str(build_message(verdict).blocks),
        to_markdown(verdict),
        render_report(verdict, Evidence()),
    ]
    for text in told:
        assert "4700" in text and "4711" not in text


def test_a_verdict_from_before_unscored_items_were_kept_has_none() -> None:
    assert {one.n_unscored for one in samples.flagged().behaviours} == {0}
