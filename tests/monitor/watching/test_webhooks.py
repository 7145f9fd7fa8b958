"""Messages that wake the watch: genuine ones over real HTTP, and every way not to be."""

import base64
import hashlib
import hmac
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from deploy.bench.made_up import write_checkpoint
from monitor.errors import SettingsError
from monitor.settings import load_settings
from monitor.settings.webhooks import WebhookSettings
from monitor.watching.rounds import watch_forever
from monitor.watching.webhook_server import MAX_BODY, Alarm, listening
from monitor.webhooks import (
    WINDOW_SECONDS,
    Message,
    RefusedMessageError,
    Replays,
    generic,
    mlflow,
)
from tests.monitor.conftest import Sessions
from tests.monitor.watching.watched import WatchedLine

KEY = b"0123456789abcdef0123456789abcdef"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
HUB, MLFLOW = "the-hubs-own-secret", "the-secret-of-mlflow"
BODY = b'{"type": "push"}'


def signature(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


def signed(message_id: str = "m1", at: float | None = None, key: bytes = KEY) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,AAAA {signature(key, message_id, timestamp, BODY)}",
    }


class Bell:
    def __init__(self) -> None:
        self.rung = 0

    def __call__(self) -> None:
        self.rung += 1


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def post(bell: Bell) -> Iterator[Callable[..., int]]:
    settings = WebhookSettings(
        host="127.0.0.1", port=0, secret=SECRET, hub_secret=HUB, mlflow_secret=MLFLOW
    )
    with listening(settings, bell) as port, httpx2.Client() as client:

        def send(path: str, headers: dict[str, str], body: bytes = BODY) -> int:
            url = f"http://127.0.0.1:{port}{path}"
            return int(client.post(url, headers=headers, content=body).status_code)

        yield send


def test_genuine_messages_wake_the_watch(post: Callable[..., int], bell: Bell) -> None:
    assert post("/v1/events", signed()) == 204
    assert post("/v1/hub", {"X-Webhook-Secret": HUB}) == 204
    now = str(int(time.time()))
    headers = {
        "X-MLflow-Delivery-Id": "m1",
        "X-MLflow-Timestamp": now,
        "X-MLflow-Signature": signature(MLFLOW.encode(), "m1", now, BODY),
    }
    assert post("/v1/mlflow", headers) == 204
    assert bell.rung == 3


def test_others_do_not(post: Callable[..., int], bell: Bell) -> None:
    assert post("/v1/events", signed()) == 204
    assert post("/v1/events", signed()) == 401  # a replay
    assert post("/v1/events", signed("m2"), BODY + b" ") == 401
    assert post("/v1/events", signed("m3", key=b"another")) == 401
    assert post("/v1/events", {**signed("m4"), "webhook-id": "m5"}) == 401
    assert post("/v1/events", {**signed("m6"), "webhook-signature": ""}) == 401
    for late in (-WINDOW_SECONDS - 5, WINDOW_SECONDS + 5):
        assert post("/v1/events", signed("m7", time.time() + late)) == 401
    for stamp in ("", "now", "²", "-1", "9" * 30):
        assert post("/v1/events", {**signed("m8"), "webhook-timestamp": stamp.encode()}) == 401  # type: ignore[dict-item]
    assert post("/v1/hub", {"X-Webhook-Secret": HUB + "x"}) == 401
    assert post("/v1/hub", {}) == 401
    assert post("/v1/mlflow", signed("m9")) == 401
    assert post("/v1/events", signed("m10"), b"x" * (MAX_BODY + 1)) == 413
    assert post("/v1/other", signed("m11")) == 404
    assert bell.rung == 1


def test_ids_are_remembered_for_as_long_as_their_time_would_pass() -> None:
    replays = Replays()
    replays.refuse_seen("a", 1000.0)
    with pytest.raises(RefusedMessageError):
        replays.refuse_seen("a", 1000.0 + 2 * WINDOW_SECONDS)
    replays.refuse_seen("b", 1001.0 + 2 * WINDOW_SECONDS)
    replays.refuse_seen("a", 1001.0 + 2 * WINDOW_SECONDS)


def test_signatures_of_the_two_schemes_are_those_of_their_makers() -> None:
    # The example of the Standard Webhooks specification.
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    message = Message(headers, b'{"test": 2432232314}', 1614265330.0)
    assert generic("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")(message)
    with pytest.raises(RefusedMessageError):
        mlflow("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")(message)


def test_an_alarm_ends_the_pause() -> None:
    alarm = Alarm()
    timer = threading.Timer(0.1, alarm.ring)
    timer.start()
    started = time.monotonic()
    alarm.sleep(60.0)
    assert 1.0 <= time.monotonic() - started < 30.0
    timer.join()


def test_a_message_makes_the_next_look_come_sooner(tmp_path: Path, sessions: Sessions) -> None:
    write_checkpoint(tmp_path / "chat" / "v1")
    line = WatchedLine(
        tmp_path / "data", sessions, {"directory": tmp_path / "chat", "trusted": "v1"}
    )
    alarm = Alarm()
    pauses = 0

    class StoppedError(Exception):
        pass

    with listening(WebhookSettings(host="127.0.0.1", port=0), alarm.ring) as port:

        def sleep(seconds: float) -> None:
            nonlocal pauses
            pauses += 1
            if pauses == 2:
                raise StoppedError
            write_checkpoint(tmp_path / "chat" / "good-2", 1)
            url = f"http://127.0.0.1:{port}/v1/events"
            assert httpx2.post(url, content=BODY).status_code == 204
            alarm.sleep(3600.0)

        with pytest.raises(StoppedError):
            watch_forever(line.settings, line.around._replace(sleep=sleep))
    assert line.states() == {"v1": "trusted", "good-2": "passed"}


def test_a_port_that_is_taken_is_named(bell: Bell) -> None:
    with (
        listening(WebhookSettings(host="127.0.0.1", port=0), bell) as port,
        pytest.raises(SettingsError, match=r"can't listen at 127\.0\.0\.1"),
        listening(WebhookSettings(host="127.0.0.1", port=port or 0), bell),
    ):
        pass


def test_without_an_address_nothing_is_taken(bell: Bell) -> None:
    with listening(WebhookSettings(), bell) as port:
        assert port is None


@pytest.mark.parametrize("host", ["0.0.0.0", "watch.example", "::"])
def test_who_listens_where_others_reach_it_needs_a_secret_and_nobody_else_does(
    host: str, bell: Bell
) -> None:
    settings = WebhookSettings(host=host)  # of every process
    with (
        pytest.raises(SettingsError, match="LATENTWATCH_WEBHOOKS__SECRET"),
        listening(settings, bell),
    ):
        pass


def test_a_probe_is_answered_whoever_asks(bell: Bell) -> None:
    settings = WebhookSettings(host="127.0.0.1", port=0, read_token=SecretStr("s" * 16))
    with listening(settings, bell) as port, httpx2.Client() as client:
        answer = client.get(f"http://127.0.0.1:{port}/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SECRET": "hunter2"}, "16 characters or more"),
        ({"SECRET": "whsec_hunter2 no base64!"}, "must be base64"),
        ({"HOST": "::1", "PORT": "99999"}, "webhooks.port"),
    ],
)
def test_mistakes_are_named_and_no_secret_is_shown(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"LATENTWATCH_WEBHOOKS__{name}", value)
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings()
    assert "hunter2" not in str(caught.value)
