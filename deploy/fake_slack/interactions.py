"""People's side: clicks and dialogs become payloads that the app gets and has to acknowledge.

They go over Socket Mode while an app is connected, else signed to the app's request URL.
"""

import json
import urllib.error
import urllib.request
from contextlib import suppress
from threading import Event
from typing import Any
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier

from deploy.fake_slack.limits import check_view
from deploy.fake_slack.websocket import WebSocket
from deploy.fake_slack.workspace import APP, SIGNING_SECRET, TEAM, Trigger, Workspace

ANSWER_SECONDS = 3.0


class NotAnsweredError(Exception):
    """The app did not acknowledge in time; Slack shows the person a warning."""


class Interactions:
    """Delivers what people do."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self.request_url: str | None = None
        """Where payloads are posted while nobody is connected."""
        self.answer_seconds = ANSWER_SECONDS
        self._sockets: list[WebSocket] = []
        self._waiting: dict[str, tuple[Event, dict[str, Any]]] = {}

    def serve(self, socket: WebSocket) -> None:
        """Keep a Socket Mode connection until the app ends it."""
        socket.send(json.dumps({"type": "hello", "num_connections": len(self._sockets) + 1}))
        self._sockets.append(socket)
        try:
            while (text := socket.receive()) is not None:
                answer = json.loads(text)
                event, into = self._waiting.get(answer.get("envelope_id", ""), (Event(), {}))
                into.update(answer.get("payload") or {})
                event.set()
        finally:
            self._sockets.remove(socket)

    @property
    def connected(self) -> int:
        """How many Socket Mode connections there are."""
        return len(self._sockets)

    def drop_connections(self) -> None:
        """End all connections, as Slack does now and then."""
        for socket in list(self._sockets):
            with suppress(OSError):
                socket.close()

    def click(
        self, user: str, channel: str, ts: str, action_id: str, option: str | None = None
    ) -> dict[str, Any]:
        """`user` uses a button or a menu of a message; the payload that the app got.

        Raises KeyError where the message has no such element, NotAnsweredError.
        """
        workspace = self._workspace
        with workspace.lock:
            message = workspace.find(channel, ts)
            block, element = _element(message or {}, action_id)
            trigger = workspace.new_id("trigger")
            workspace.triggers[trigger] = Trigger(user, workspace.clock())
            container = {"type": "message", "message_ts": ts, "channel_id": channel}
            if message is not None and "thread_ts" in message:
                container["thread_ts"] = message["thread_ts"]
            payload = self._from(user, "block_actions") | {
                "trigger_id": trigger,
                "container": container,
                "channel": {"id": channel, "name": workspace.channels[channel].name},
                "message": message,
                "actions": [_action(block, element, option)],
            }
        self.deliver(payload)
        return payload

    def submit(self, user: str, values: dict[str, dict[str, str]]) -> dict[str, str]:
        """`user` sends off the open dialog; the errors that it then shows, by block. Of a menu the
        value is that of an option, or empty.

        Raises KeyError where none is open, or it has no such field or option, NotAnsweredError.
        """
        workspace = self._workspace
        with workspace.lock:
            view = workspace.views[user]
        elements = {b["block_id"]: b["element"] for b in view["blocks"] if b["type"] == "input"}
        state = {
            block: {action: _filled(elements[block], value)}
            for block, entry in values.items()
            for action, value in entry.items()
        }
        filled = {**view, "state": {"values": state}}
        answer = self.deliver(self._from(user, "view_submission") | {"view": filled})
        with workspace.lock:
            if answer.get("response_action") == "errors":
                return dict(answer["errors"])
            if answer.get("response_action") == "update":
                check_view(answer["view"])
                workspace.views[user] = {**answer["view"], "id": view["id"]}
            else:
                workspace.views.pop(user, None)
        return {}

    def deliver(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Give `payload` to the app; what it answered. Raises NotAnsweredError."""
        if self._sockets:
            return self._over_socket(payload)
        if self.request_url is not None:
            return self._over_http(payload, self.request_url)
        raise NotAnsweredError("no app listens: start `latentwatch alerts serve`")

    def _over_socket(self, payload: dict[str, Any]) -> dict[str, Any]:
        envelope = self._workspace.new_id("envelope")
        answered, into = Event(), dict[str, Any]()
        self._waiting[envelope] = answered, into
        text = {"envelope_id": envelope, "type": "interactive", "payload": payload}
        try:
            self._sockets[-1].send(json.dumps(text | {"accepts_response_payload": True}))
            if not answered.wait(self.answer_seconds):
                raise NotAnsweredError("the app did not acknowledge within three seconds")
        finally:
            del self._waiting[envelope]
        return into

    def _over_http(self, payload: dict[str, Any], url: str) -> dict[str, Any]:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        timestamp = str(int(self._workspace.clock()))
        signature = SignatureVerifier(SIGNING_SECRET).generate_signature(
            timestamp=timestamp, body=body
        )
        headers = {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": str(signature)}
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=self.answer_seconds) as response:
                text = response.read()
        except (OSError, urllib.error.URLError) as error:
            raise NotAnsweredError(f"the app did not acknowledge: {error}") from error
        return dict(json.loads(text)) if text else {}

    def _from(self, user: str, kind: str) -> dict[str, Any]:
        known = self._workspace.users[user]
        who = {"id": user, "username": known.name.lower(), "name": known.name, "team_id": TEAM}
        return {"type": kind, "user": who, "team": {"id": TEAM}, "api_app_id": APP}


def _element(message: dict[str, Any], action_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    for block in message.get("blocks", []):
        for element in block.get("elements", []):
            if element.get("action_id") == action_id:
                return block, element
    raise KeyError(action_id)


def _filled(element: dict[str, Any], value: str) -> dict[str, Any]:
    if element["type"] != "static_select":
        return {"type": element["type"], "value": value or None}
    options = {option["value"]: option for option in element["options"]}
    return {"type": "static_select", "selected_option": options[value] if value else None}


def _action(block: dict[str, Any], element: dict[str, Any], option: str | None) -> dict[str, Any]:
    told = ("type", "action_id", "text", "value")
    action: dict[str, Any] = {name: element[name] for name in told if name in element}
    action["block_id"] = block.get("block_id", "")
    if element["type"] == "static_select":
        [chosen] = [o for o in element["options"] if o["value"] == option]
        action["selected_option"] = chosen
    return action
