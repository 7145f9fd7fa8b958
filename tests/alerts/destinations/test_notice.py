"""What is told beside Slack, whatever the place of a version calls it."""

import json

from alerts.alert import Finding
from alerts.alert_events import Measured
from alerts.alert_steps import begin
from alerts.destinations.notice import Notice
from alerts.pages.templating import TEMPLATES
from alerts.verdict_in_words import Names
from tests.alerts import samples

ALERT = begin(Measured(Finding.FLAGGED, "critical", "r"), 0.0)


def notice(name: str) -> Notice:
    return Notice("f" * 32, ALERT, samples.flagged(), None, names=Names(name, None))


def test_a_hostile_name_is_text_in_a_mail_and_one_line() -> None:
    told = notice(f"<b>v2</b>\nBcc: everybody\r\n{samples.HOSTILE}")
    plain, html = (TEMPLATES.get_template(f"email.{kind}.j2").render(notice=told) for kind in
                   ("txt", "html"))  # fmt: skip
    assert "<b>" not in html and "&lt;b&gt;v2&lt;/b&gt; Bcc: everybody" in html
    assert "\nBcc" not in plain and "\r" not in plain and "\x1b" not in plain + html
    assert "\n" not in told.title


def test_programs_get_the_name_and_the_whole_digest() -> None:
    facts = notice("v2").facts()
    assert json.loads(json.dumps(facts))["candidate"]["name"] == "v2"
    assert facts["base"]["name"] is None
    digest = samples.flagged().candidate.digest.rpartition(":")[2]
    assert notice("v2").commands == [
        f"latentwatch quarantine support-chat {digest} --reason",
        f"latentwatch trust support-chat {digest} --reason",
    ]
