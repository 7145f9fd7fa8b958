"""The fake behaves as Slack is documented to: limits, rates, scopes, faults, history, sockets."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from alerts.slack.client import web_client
from deploy.fake_slack.faults import Fault
from deploy.fake_slack.interactions import NotAnsweredError
from deploy.fake_slack.limits import NotTakenError, check_view
from deploy.fake_slack.memory import load, save
from deploy.fake_slack.mrkdwn import to_html
from deploy.fake_slack.server import FakeSlack, fake_slack
from deploy.fake_slack.workspace import APP_TOKEN, BOT_TOKEN, Workspace

CHANNEL = "C0ALERTS"


class Clock:
    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slack(clock: Clock) -> Iterator[FakeSlack]:
    with fake_slack(Workspace(clock)) as running:
        yield running


@pytest.fixture
def client(slack: FakeSlack) -> WebClient:
    return web_client(BOT_TOKEN, slack.api_url, 5.0)


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(**changes: Any) -> dict[str, Any]:
    plain = {"type": "plain_text", "text": "Go"}
    return {"type": "button", "action_id": "go", "text": plain, "value": "v"} | changes


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "block_id": "b", "elements": list(elements)}


@pytest.mark.parametrize(
    "blocks, error",
    [
        ([section("x" * 3001)], "invalid_blocks"),
        ([section("x")] * 51, "invalid_blocks"),
        ([{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}], "invalid_blocks"),
        ([{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}], "invalid_blocks"),
        ([section("x", fields=[{"type": "mrkdwn", "text": "f"}] * 11)], "invalid_blocks"),
        ([actions(*[button()] * 26)], "invalid_blocks"),
        ([actions(button(value="v" * 2001))], "invalid_blocks"),
        ([actions(button(text={"type": "plain_text", "text": "x" * 76}))], "invalid_blocks"),
        ([actions(button()), actions(button())], "invalid_blocks"),
        ([{"type": "marquee"}], "invalid_blocks"),
        ([section("")], "invalid_blocks"),
        ([section("x" * 2900)] * 5, "msg_blocks_too_long"),
    ],
)
def test_what_breaks_a_limit_is_not_taken(
    client: WebClient, slack: FakeSlack, blocks: list[dict[str, Any]], error: str
) -> None:
    with pytest.raises(SlackApiError) as raised:
        client.chat_postMessage(channel=CHANNEL, text="t", blocks=blocks)
    assert raised.value.response["error"] == error
    assert slack.workspace.in_channel(CHANNEL) == []


def test_channels_that_are_unknown_or_not_joined_are_not_taken(client: WebClient) -> None:
    for channel, error in (("C0NONE", "channel_not_found"), ("C0OTHER", "not_in_channel")):
        with pytest.raises(SlackApiError) as raised:
            client.chat_postMessage(channel=channel, text="t")
        assert raised.value.response["error"] == error


def test_a_missing_scope_or_token_is_told(client: WebClient, slack: FakeSlack) -> None:
    slack.workspace.scopes = ("chat:write",)
    with pytest.raises(SlackApiError) as raised:
        client.conversations_history(channel=CHANNEL)
    assert raised.value.response["needed"] == "channels:history"
    with pytest.raises(SlackApiError, match="invalid_auth"):
        web_client("xoxb-other", slack.api_url, 5.0).auth_test()


def test_a_channel_takes_a_message_a_second_after_a_short_burst(
    client: WebClient, clock: Clock
) -> None:
    for _ in range(3):
        client.chat_postMessage(channel=CHANNEL, text="t")
    with pytest.raises(SlackApiError) as raised:
        client.chat_postMessage(channel=CHANNEL, text="t")
    assert raised.value.response.status_code == 429
    assert raised.value.response.headers["Retry-After"] == "1"
    client.chat_postMessage(channel="C0CRITICAL", text="t")
    clock.now += 1.0
    client.chat_postMessage(channel=CHANNEL, text="t")


def test_history_has_threads_apart_and_metadata_only_on_demand(
    client: WebClient, clock: Clock
) -> None:
    metadata = {"event_type": "e", "event_payload": {"key": "k"}}
    ts = client.chat_postMessage(channel=CHANNEL, text="parent", metadata=metadata)["ts"]
    client.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=ts)
    clock.now += 10.0
    client.chat_postMessage(channel=CHANNEL, text="loud", thread_ts=ts, reply_broadcast=True)
    texts = [m["text"] for m in client.conversations_history(channel=CHANNEL)["messages"]]
    assert texts == ["loud", "parent"]
    plain = client.conversations_history(channel=CHANNEL, oldest=str(clock.now - 5))["messages"]
    assert [m["text"] for m in plain] == ["loud"]
    every = client.conversations_replies(channel=CHANNEL, ts=ts, include_all_metadata=True)
    assert [m["text"] for m in every["messages"]] == ["parent", "reply", "loud"]
    assert every["messages"][0]["metadata"] == metadata
    assert "metadata" not in client.conversations_history(channel=CHANNEL)["messages"][-1]
    page = client.conversations_history(channel=CHANNEL, limit=1)
    cursor = page["response_metadata"]["next_cursor"]
    rest = client.conversations_history(channel=CHANNEL, limit=1, cursor=cursor)
    assert [m["text"] for m in rest["messages"]] == ["parent"]
    assert rest["response_metadata"]["next_cursor"] == ""


def test_faults_happen_as_often_as_asked_and_a_lost_answer_was_done(
    client: WebClient, slack: FakeSlack
) -> None:
    faults = slack.workspace.faults
    faults.add(Fault("chat.postMessage", "refused", error="channel_not_found"))
    faults.add(Fault("chat.postMessage", "limited", seconds=7))
    faults.add(Fault("chat.postMessage", "broken"))
    for status in (200, 429, 500):
        with pytest.raises(SlackApiError) as raised:
            client.chat_postMessage(channel=CHANNEL, text="t")
        assert raised.value.response.status_code == status
    assert slack.workspace.in_channel(CHANNEL) == []
    faults.add(Fault("chat.postMessage", "lost"))
    with pytest.raises((HTTPException, OSError)):
        client.chat_postMessage(channel=CHANNEL, text="lost")
    assert [m["text"] for m in slack.workspace.in_channel(CHANNEL)] == ["lost"]
    client.chat_postMessage(channel=CHANNEL, text="t")


def test_files_go_the_three_steps_of_slack(client: WebClient, slack: FakeSlack) -> None:
    ts = client.chat_postMessage(channel=CHANNEL, text="parent")["ts"]
    client.files_upload_v2(
        channel=CHANNEL, thread_ts=ts, content=b"\x89PNG", filename="f.png", title="The figures"
    )
    [reply] = slack.workspace.thread(CHANNEL, ts)
    [file] = reply["files"]
    with urllib.request.urlopen(f"{slack.url}/files/{file['id']}") as response:
        assert response.read() == b"\x89PNG"


def test_a_dialog_opens_once_and_only_soon_after_the_click(
    client: WebClient, slack: FakeSlack, clock: Clock
) -> None:
    with pytest.raises(NotAnsweredError, match="no app listens"):
        client.chat_postMessage(channel=CHANNEL, text="t", blocks=[actions(button())])
        ts = slack.workspace.in_channel(CHANNEL)[0]["ts"]
        slack.interactions.click("U0ADA", CHANNEL, ts, "go")
    [trigger] = slack.workspace.triggers
    title = {"type": "plain_text", "text": "Why?"}
    view = {"type": "modal", "title": title, "blocks": [section("x")]}
    with pytest.raises(SlackApiError, match="invalid_arguments"):
        long = {"type": "plain_text", "text": "x" * 25}
        client.views_open(trigger_id=trigger, view=view | {"title": long})
    with pytest.raises(SlackApiError, match="invalid_trigger_id"):
        client.views_open(trigger_id=trigger, view=view)
    with pytest.raises(NotAnsweredError):
        slack.interactions.click("U0ADA", CHANNEL, ts, "go")
    [trigger] = slack.workspace.triggers
    clock.now += 3.1
    with pytest.raises(SlackApiError, match="expired_trigger_id"):
        client.views_open(trigger_id=trigger, view=view)


def menu(**changes: Any) -> dict[str, Any]:
    options = [{"text": {"type": "plain_text", "text": name}, "value": name} for name in "ab"]
    return {"type": "static_select", "action_id": "m", "options": options} | changes


def dialog(element: dict[str, Any]) -> dict[str, Any]:
    plain = {"type": "plain_text", "text": "Which?"}
    field = {"type": "input", "block_id": "f", "label": plain, "element": element}
    return {"type": "modal", "title": plain, "submit": plain, "blocks": [field]}


def test_a_menu_in_a_dialog_is_filled_in_with_one_of_its_options(
    slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for refused in (
        menu(options=[]),
        menu(initial_option={"text": {"type": "plain_text", "text": "c"}, "value": "c"}),
        {"type": "plain_text_input", "action_id": "m", "max_length": 3001},
    ):
        with pytest.raises(NotTakenError):
            check_view(dialog(refused))
    check_view(dialog(menu()))
    slack.workspace.views["U0ADA"] = dialog(menu())
    with pytest.raises(KeyError):
        slack.interactions.submit("U0ADA", {"f": {"m": "c"}})
    with pytest.raises(KeyError):
        slack.interactions.submit("U0ADA", {"other": {"m": "a"}})
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(slack.interactions, "deliver", lambda payload: sent.append(payload) or {})
    for value, chosen in (("b", "b"), ("", None)):
        slack.workspace.views["U0ADA"] = dialog(menu())
        assert slack.interactions.submit("U0ADA", {"f": {"m": value}}) == {}
        got = sent[-1]["view"]["state"]["values"]["f"]["m"]["selected_option"]
        assert (got and got["value"]) == chosen


def test_only_an_element_that_the_message_has_can_be_used(
    client: WebClient, slack: FakeSlack
) -> None:
    ts = client.chat_postMessage(channel=CHANNEL, text="t", blocks=[actions(button())])["ts"]
    with pytest.raises(KeyError):
        slack.interactions.click("U0ADA", CHANNEL, ts, "trust")


def test_other_sites_can_not_act_on_the_page(slack: FakeSlack) -> None:
    for origin in (None, "http://evil.example"):
        request = urllib.request.Request(f"{slack.url}/act/close", b'{"user": "U0ADA"}')
        if origin is not None:
            request.add_header("Origin", origin)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)


def test_the_page_is_for_this_machine_by_its_own_name(slack: FakeSlack) -> None:
    for path, body in ((f"/channels/{CHANNEL}", None), ("/act/close", b'{"user": "U0ADA"}')):
        request = urllib.request.Request(f"{slack.url}{path}", body)
        request.add_header("Host", "evil.example:80")  # which its owner has point here
        request.add_header("Origin", "http://evil.example:80")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request)
    with urllib.request.urlopen(f"{slack.url}/channels/{CHANNEL}") as response:
        assert response.headers["X-Frame-Options"] == "DENY"


def test_a_socket_is_opened_once_by_who_asked_for_it_and_by_no_browser(
    slack: FakeSlack, client: WebClient
) -> None:
    def opened(url: str, **headers: str) -> int:
        asked = {"Sec-WebSocket-Key": "a2V5", **headers}
        request = urllib.request.Request(url.replace("ws://", "http://"), headers=asked)
        with pytest.raises(urllib.error.HTTPError) as answered:
            urllib.request.urlopen(request, timeout=5)
        return answered.value.code

    assert opened(f"{slack.url}/socket/W0GUESSED") == 403
    url = client.apps_connections_open(app_token=APP_TOKEN)["url"]
    assert opened(url, Origin="http://evil.example") == 403
    assert slack.interactions.connected == 0
    assert opened(url) == 101
    assert opened(url) == 403


HOSTILE = '<script>alert(1)</script> <https://evil.example|x> <!channel> *b* `c` "q"'


def test_the_page_shows_foreign_text_as_text(client: WebClient, slack: FakeSlack) -> None:
    escaped = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    blocks = [section(escaped), {"type": "header", "text": {"type": "plain_text", "text": escaped}}]
    client.chat_postMessage(channel=CHANNEL, text=escaped, blocks=blocks)
    with urllib.request.urlopen(f"{slack.url}/channels/{CHANNEL}") as response:
        html = response.read().decode()
    assert "<script>alert" not in html and "evil.example|x&gt;" in html
    assert "&lt;script&gt;alert(1)" in html and "<b>b</b>" in html


@pytest.mark.parametrize(
    "text, html",
    [
        ("*a* _b_ ~c~ `d`", "<b>a</b> <i>b</i> <s>c</s> <code>d</code>"),
        ("2*3*4 a_b_c", "2*3*4 a_b_c"),
        ("<@U0ADA> &lt;@U0BEN&gt;", '<span class="mention">@Ada</span> &lt;@U0BEN&gt;'),
        ("<!subteam^S0SAFETY>", '<span class="mention">@safety-reviewers</span>'),
        ("<!date^0^{date}|then>", "Jan 1, 1970, 00:00 UTC"),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("`\ue0007\ue001` <@U0ADA>", '<code>7</code> <span class="mention">@Ada</span>'),
    ],
)
def test_formatted_text_reads_as_slack_shows_it(text: str, html: str) -> None:
    assert to_html({"type": "mrkdwn", "text": text}, Workspace()) == html


def test_what_was_said_is_kept_in_a_file(
    client: WebClient, slack: FakeSlack, tmp_path: Path
) -> None:
    ts = client.chat_postMessage(channel=CHANNEL, text="kept")["ts"]
    client.files_upload_v2(channel=CHANNEL, thread_ts=ts, content=b"\x89", filename="f.png")
    save(slack.workspace, tmp_path / "slack.json")
    again = Workspace()
    load(again, tmp_path / "slack.json")
    assert again.messages == slack.workspace.messages
    assert again.files == slack.workspace.files
    load(again, tmp_path / "none.json")
    assert json.loads((tmp_path / "slack.json").read_text())["messages"]


def test_socket_mode_needs_the_token_of_the_app(slack: FakeSlack, client: WebClient) -> None:
    url = client.apps_connections_open(app_token=APP_TOKEN)["url"]
    assert url.startswith("ws://127.0.0.1:")
    with pytest.raises(SlackApiError, match="invalid_auth"):
        client.apps_connections_open(app_token="xapp-other")
