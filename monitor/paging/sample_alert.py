"""A made-up alert, for `latentwatch alerts test`."""

import hashlib
import json
import time
from importlib import resources

from alerts.alert import Alert, Finding
from alerts.alert_events import Measured, Replaced
from alerts.alert_steps import begin, step
from alerts.channel import Posting
from alerts.destinations.notice import Notice, Told
from alerts.evidence import Evidence
from alerts.pages.picture import evidence_picture
from alerts.slack.channel import SlackChannel
from alerts.slack.message import build_message
from alerts.slack.sections import words
from alerts.verdict import Verdict
from alerts.verdict_in_words import Names
from monitor.paging.alert_token import Token
from monitor.paging.destinations import destination_of
from monitor.paging.pager import slack_client
from monitor.settings.alerts import AlertSettings

NAMES = Names("step_5000", "step_4000")
SAMPLE_SECONDS = 15.0
"""After which a destination is told that the sample is over: long enough to be paged by it."""
TITLE = "This is a sample: no model was checked, and nobody has to do anything."


def post_sample_alert(settings: AlertSettings, channel: str, now: float) -> str:
    """Post the sample with its picture; the message's timestamp. Raises a ChannelError."""
    slack = SlackChannel(slack_client(settings.slack))
    verdict, evidence = sample()
    alert = begin(Measured(Finding.FLAGGED, "critical", TITLE), now)
    built = build_message(
        verdict,
        evidence,
        alert=alert,
        alert_id=str(Token("0" * 32, 1)) if settings.slack.takes_answers else None,
        examples=settings.examples,
        names=NAMES,
    )
    key = f"sample.{now:.3f}"
    blocks = [words(f"*{TITLE}*").to_dict(), *built.blocks]
    reference = slack.post(Posting(channel, key, f"{TITLE} {built.text}", blocks))
    time.sleep(1.0)  # a channel takes one message a second
    picture = evidence_picture(verdict, evidence)
    slack.post(Posting(channel, key, "The figures", (), reference, picture=picture))
    return reference


def tell_sample(settings: AlertSettings, name: str, now: float) -> str:
    """Tell the destination `name` of the sample, and of its end, so that nothing stays open there;
    its reference there. Raises a ChannelError."""
    verdict, _ = sample()
    alert = begin(Measured(Finding.FLAGGED, "critical", TITLE), now)
    told = verdict.model_copy(update={"reasons": [TITLE, *verdict.reasons]})
    fingerprint = hashlib.sha256(f"sample.{now}".encode()).hexdigest()[:32]
    destination = destination_of(name, settings.destinations[name])
    notice = Notice(fingerprint, alert, told, None, names=NAMES)
    reference = destination.tell(notice, now)
    time.sleep(SAMPLE_SECONDS)
    end = now + SAMPLE_SECONDS
    over = step(alert, Replaced("the sample is over"), end)
    if isinstance(over, Alert):
        before = Told(alert.state, now)
        destination.tell(notice._replace(alert=over, told=before, reference=reference), end)
    return reference


def sample() -> tuple[Verdict, Evidence]:
    """The verdict and the evidence, from a file of this package."""
    text = (resources.files("monitor.paging") / "sample_alert.json").read_text("utf-8")
    parts = json.loads(text)
    return (
        Verdict.model_validate(parts["verdict"]),
        Evidence.model_validate(parts["evidence"]),
    )
