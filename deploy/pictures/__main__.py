"""`make pictures`: what reviewers see, from the page of the fake Slack in headless Chromium.

The alert is the sample of `latentwatch alerts test`, whose figures are made up, and so are those of
the answer in its thread. Everything goes through the fake's Web API, with its limits.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydantic import SecretStr
from slack_sdk import WebClient

from alerts.question import BehaviourBySeed, SeedAgreement, SeedsAsked, SeedsTried
from alerts.records.behaviour import SeedMediation
from alerts.slack.answer import answered_message, asked_message
from alerts.slack.modal import reason_modal
from alerts.slack.question import question_modal
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, Trigger
from monitor.jobs.asked_suites import bundled_behaviours
from monitor.paging.sample_alert import post_sample_alert, sample
from monitor.settings.alerts import AlertSettings

IMAGES = Path("docs/images")
CHANNEL, USER = "C0ALERTS", "U0ADA"
VERSION = "assistant: step-2000"
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Write the pictures. Exits with 2 where there is no Chromium."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        print(f"none of {', '.join(PROGRAMS)} is here; on Debian: apt-get install chromium")
        sys.exit(2)
    with fake_slack() as slack:
        client = WebClient(BOT_TOKEN, base_url=slack.api_url)
        alert = post_sample_alert(_settings(slack), CHANNEL, time.time())
        page = f"{slack.url}/channels/{CHANNEL}?as={USER}"
        _take(program, page, "alert", 1000, 1500)
        _ask_and_answer(client, alert)
        _take(program, f"{page}&thread={alert}", "thread", 1700, 1400)
        features = [f for f in sample()[0].features if f.side == "candidate"]
        suites = bundled_behaviours()
        asking = question_modal(
            *("t", CHANNEL, VERSION, features, suites), seeds=True, waiting={}, model_text=True
        )
        for name, view in {
            "ask": asking,
            "decide": reason_modal("quarantine", "t", CHANNEL, VERSION),
        }.items():
            slack.workspace.triggers[name] = Trigger(USER, slack.workspace.clock())
            client.views_open(trigger_id=name, view=view)
            _take(program, page, name, 1000, 720)


def _settings(slack: FakeSlack) -> AlertSettings:
    secrets = {"bot_token": SecretStr(BOT_TOKEN), "app_token": SecretStr(APP_TOKEN)}
    return AlertSettings.model_validate(
        {
            "routes": [{"channel": CHANNEL}],
            "reviewers": [USER],
            "slack": {**secrets, "api_url": slack.api_url},
        }
    )


def _ask_and_answer(client: WebClient, thread: str) -> None:
    asked, actor = SeedsAsked(seeds=1), f"slack:{USER}"
    for message in (
        asked_message(asked, actor),
        answered_message(asked, actor, _answer(), "3f2a9c41d0e7", "full"),
    ):
        time.sleep(1.1)  # a channel takes one message a second
        client.chat_postMessage(
            channel=CHANNEL, thread_ts=thread, text=message.text, blocks=message.blocks
        )


def _answer() -> SeedsTried:
    parts = [(0.24, 0.58, 0.81, 0.09), (0.19, 0.52, 0.77, 0.12), (0.22, 0.49, 0.79, 0.11)]
    return SeedsTried(
        seeds=[
            SeedAgreement(seed=0, similarity={}),
            SeedAgreement(seed=1, similarity={"candidate-10": 0.93, "candidate-17": 0.84}),
            SeedAgreement(seed=2, similarity={"candidate-10": 0.9, "candidate-17": 0.61}),
        ],
        n_known=2,
        similar=0.7,
        behaviours=[
            BehaviourBySeed(
                name="sycophancy",
                n_items=24,
                by_seed=[
                    SeedMediation(best=best, five=five, all=everything, control_p95=control)
                    for best, five, everything, control in parts
                ],
            )
        ],
    )


def _take(program: str, url: str, name: str, width: int, height: int) -> None:
    """Picture `name` of the page at `url`."""
    target = (IMAGES / f"{name}.png").resolve()
    with tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        command += ["--virtual-time-budget=2000", f"--screenshot={target}", url]
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(target)


if __name__ == "__main__":
    main()
