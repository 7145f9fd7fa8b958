"""The methods of the Web API that latentwatch uses, on the state of a fake workspace."""

from collections.abc import Callable
from typing import Any

from deploy.fake_slack.limits import NotTakenError, check_message, check_view
from deploy.fake_slack.workspace import BOT, TEAM, Workspace

Arguments = dict[str, Any]
Method = Callable[[Workspace, Arguments, str], dict[str, Any]]

TRIGGER_SECONDS = 3.0
NEEDED_SCOPES = {
    "chat.postMessage": "chat:write",
    "chat.postEphemeral": "chat:write",
    "chat.update": "chat:write",
    "conversations.history": "channels:history",
    "conversations.info": "channels:read",
    "conversations.replies": "channels:history",
    "files.getUploadURLExternal": "files:write",
    "files.completeUploadExternal": "files:write",
    "usergroups.list": "usergroups:read",
    "usergroups.users.list": "usergroups:read",
    "users.info": "users:read",
}


def auth_test(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    return {"team": "Fake workspace", "team_id": TEAM, "user": "latentwatch", "user_id": BOT}


def post_message(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, given)
    check_message(given.get("text"), given.get("blocks"))
    metadata = given.get("metadata")
    if metadata is not None and not (
        metadata.get("event_type") and isinstance(metadata.get("event_payload"), dict)
    ):
        raise NotTakenError("invalid_metadata_format")
    message = {
        "type": "message",
        "user": BOT,
        "ts": workspace.new_ts(),
        "text": given.get("text") or "",
        "blocks": given.get("blocks") or [],
        "metadata": metadata,
    }
    thread = given.get("thread_ts")
    if thread is not None:
        if workspace.find(channel, thread) is None:
            raise NotTakenError("thread_not_found")
        message["thread_ts"] = thread
        if given.get("reply_broadcast"):
            message["subtype"] = "thread_broadcast"
    workspace.messages[channel].append(message)
    return {"channel": channel, "ts": message["ts"], "message": message}


def post_ephemeral(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, given)
    check_message(given.get("text"), given.get("blocks"))
    ts = workspace.new_ts()
    workspace.ephemeral.append({"channel": channel, "ts": ts, **given})
    return {"message_ts": ts}


def update(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, given)
    message = workspace.find(channel, given["ts"])
    if message is None:
        raise NotTakenError("message_not_found")
    check_message(given.get("text"), given.get("blocks"))
    for name in ("text", "blocks", "metadata"):
        if name in given:
            message[name] = given[name]
    message["edited"] = {"user": BOT, "ts": workspace.new_ts()}
    return {"channel": channel, "ts": message["ts"], "text": message["text"]}


def history(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, given)
    return _page(workspace.in_channel(channel)[::-1], given)


def replies(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, given)
    parent = workspace.find(channel, given["ts"])
    if parent is None:
        raise NotTakenError("thread_not_found")
    page = _page(workspace.thread(channel, parent["ts"]), given)
    return page | {"messages": [_shown(parent, given), *page["messages"]]}


def info(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = workspace.channels.get(given["channel"])
    if channel is None:
        raise NotTakenError("channel_not_found")
    return {"channel": {"id": channel.id, "name": channel.name, "is_member": channel.has_bot}}


def upload_url(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    file = workspace.new_id("F")
    workspace.files[file] = {
        "id": file,
        "name": given["filename"],
        "length": int(given["length"]),
        "alt_txt": given.get("alt_txt") or "",
    }
    return {"upload_url": f"http://{host}/upload/{file}", "file_id": file}


def complete_upload(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    channel = _joined(workspace, {"channel": given.get("channel_id")})
    done = []
    for entry in given["files"]:
        file = workspace.files.get(entry["id"])
        if file is None or "content" not in file:
            raise NotTakenError("file_not_found")
        file["title"] = entry.get("title") or file["name"]
        done.append({name: file[name] for name in ("id", "title", "name", "alt_txt")})
    message = {
        "type": "message",
        "user": BOT,
        "ts": workspace.new_ts(),
        "text": given.get("initial_comment") or "",
        "blocks": [],
        "files": done,
    }
    if given.get("thread_ts"):
        message["thread_ts"] = given["thread_ts"]
    workspace.messages[channel].append(message)
    return {"files": done}


def groups(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    known = workspace.groups.items()
    return {"usergroups": [{"id": group, "handle": handle} for group, (handle, _) in known]}


def group_users(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    if given["usergroup"] not in workspace.groups:
        raise NotTakenError("no_such_subteam")
    return {"users": list(workspace.groups[given["usergroup"]][1])}


def user_info(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    user = workspace.users.get(given["user"])
    if user is None:
        raise NotTakenError("user_not_found")
    return {"user": {"id": user.id, "name": user.name, "deleted": user.id in workspace.deleted}}


def open_view(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    trigger = workspace.triggers.pop(given["trigger_id"], None)
    if trigger is None:
        raise NotTakenError("invalid_trigger_id")
    if workspace.clock() - trigger.at > TRIGGER_SECONDS:
        raise NotTakenError("expired_trigger_id")
    view = given["view"]
    check_view(view)
    opened = {**view, "id": workspace.new_id("V")}
    workspace.views[trigger.user] = opened
    return {"view": opened}


def open_connection(workspace: Workspace, given: Arguments, host: str) -> dict[str, Any]:
    ticket = workspace.new_id("W")
    workspace.tickets.add(ticket)
    return {"url": f"ws://{host}/socket/{ticket}"}


METHODS: dict[str, Method] = {
    "apps.connections.open": open_connection,
    "auth.test": auth_test,
    "chat.postEphemeral": post_ephemeral,
    "chat.postMessage": post_message,
    "chat.update": update,
    "conversations.history": history,
    "conversations.info": info,
    "conversations.replies": replies,
    "files.completeUploadExternal": complete_upload,
    "files.getUploadURLExternal": upload_url,
    "usergroups.list": groups,
    "usergroups.users.list": group_users,
    "users.info": user_info,
    "views.open": open_view,
}


def _joined(workspace: Workspace, given: Arguments) -> str:
    channel = workspace.channels.get(str(given.get("channel")))
    if channel is None:
        raise NotTakenError("channel_not_found")
    if not channel.has_bot:
        raise NotTakenError("not_in_channel")
    return channel.id


def _page(messages: list[dict[str, Any]], given: Arguments) -> dict[str, Any]:
    oldest, latest = float(given.get("oldest") or 0), float(given.get("latest") or "inf")
    found = [m for m in messages if oldest < float(m["ts"]) < latest]
    start, limit = int(given.get("cursor") or 0), min(int(given.get("limit") or 100), 999)
    more = start + limit < len(found)
    return {
        "messages": [_shown(m, given) for m in found[start : start + limit]],
        "has_more": more,
        "response_metadata": {"next_cursor": str(start + limit) if more else ""},
    }


def _shown(message: dict[str, Any], given: Arguments) -> dict[str, Any]:
    asked = str(given.get("include_all_metadata")).lower() in ("1", "true")
    return {key: value for key, value in message.items() if asked or key != "metadata"}
