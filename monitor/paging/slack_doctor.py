"""Checks that Slack has everything that alerts need, and says what is missing where."""

import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, NamedTuple

from slack_sdk import WebClient

from alerts.channel import ChannelError, NotNowError, RefusedError, UnclearError
from alerts.slack.errors import told
from alerts.wording import count
from monitor.paging.pager import slack_client
from monitor.settings.alerts import AlertSettings

SCOPES = ("chat:write", "files:write", "channels:read", "channels:history")
PRIVATE_SCOPES = ("groups:read", "groups:history")
GROUP_SCOPES = ("usergroups:read",)
USER_SCOPES = ("users:read",)
CLOCK_SECONDS = 60.0
"""Slack's signatures are valid for five minutes; past a fifth of that something is wrong."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    ok: bool
    what: str
    said: str


def examine_slack(settings: AlertSettings, clock: Callable[[], float] = time.time) -> list[Finding]:
    """Look at tokens, scopes, clock, channels, groups and users. Raises SettingsError without a
    token."""
    client = slack_client(settings.slack)
    try:
        answer = told(client.auth_test)
    except ChannelError as error:
        return [Finding(False, "bot token", f"{error}; {_remedy(error)}")]
    said = f"{answer['user']} in {answer['team']}"
    return [
        Finding(True, "bot token", said),
        _scopes(settings, answer.headers),
        _clock(answer.headers, clock()),
        *_listening(settings, client),
        *_channels(settings, client),
        *_groups(settings, client),
        *_users(settings, client),
        _reviewers(settings, client),
    ]


def _remedy(error: ChannelError) -> str:
    """What helps where Slack did not say whose token it is."""
    match error:
        case NotNowError():
            return "wait as long as that, then try again"
        case UnclearError():
            return (
                "this says nothing of the token: check the network, alerts.slack.api_url and "
                "status.slack.com, then try again"
            )
        case _:
            return "install the app and copy its bot token"


def _scopes(settings: AlertSettings, headers: Any) -> Finding:
    granted = set(_header(headers, "x-oauth-scopes").replace(" ", "").split(","))
    channels = {channel[0] for channel in settings.slack_channels}
    needed = [*SCOPES, *(PRIVATE_SCOPES if "G" in channels else ())]
    needed += GROUP_SCOPES if _group_fields(settings) else ()
    needed += USER_SCOPES if _user_fields(settings) else ()
    missing = [scope for scope in needed if scope not in granted]
    if missing:
        remedy = "add them under OAuth & Permissions and install the app again"
        return Finding(False, "scopes", f"missing: {', '.join(missing)}; {remedy}")
    return Finding(True, "scopes", ", ".join(needed))


def _clock(headers: Any, now: float) -> Finding:
    try:
        away = now - parsedate_to_datetime(_header(headers, "date")).timestamp()
    except ValueError:
        return Finding(False, "clock", "Slack did not tell its time")
    said = f"{abs(away):.0f} s {'ahead of' if away > 0 else 'behind'} Slack's"
    return Finding(abs(away) <= CLOCK_SECONDS, "clock", said)


def _listening(settings: AlertSettings, client: WebClient) -> Iterator[Finding]:
    slack = settings.slack
    if slack.app_token is not None:
        token = slack.app_token.get_secret_value()
        try:
            told(lambda: client.apps_connections_open(app_token=token))
            yield Finding(True, "app token", "Socket Mode can be opened")
        except ChannelError as error:
            yield Finding(False, "app token", f"{error}; it needs the scope connections:write")
    if slack.signing_secret is not None:
        yield Finding(True, "signing secret", f"set; answers are taken at {slack.listen}")
    if not slack.takes_answers:
        said = "set app_token (Socket Mode) or signing_secret (HTTP): alerts have no buttons"
        yield Finding(False, "answers", said)


def _channels(settings: AlertSettings, client: WebClient) -> Iterator[Finding]:
    if not settings.routes:
        yield Finding(False, "routes", "there are none; add [[alerts.routes]] with a channel")
    for channel in settings.slack_channels:
        try:
            known = told(partial(client.conversations_info, channel=channel))
        except ChannelError as error:
            yield Finding(False, f"channel {channel}", str(error))
            continue
        name, joined = known["channel"]["name"], known["channel"]["is_member"]
        said = f"#{name}" if joined else f"#{name}: the bot is no member; /invite it there"
        yield Finding(bool(joined), f"channel {channel}", said)


def _groups(settings: AlertSettings, client: WebClient) -> Iterator[Finding]:
    wanted = _group_fields(settings)
    if not wanted:
        return
    try:
        known = {g["id"]: g["handle"] for g in told(client.usergroups_list)["usergroups"]}
    except ChannelError as error:
        yield Finding(False, "user groups", str(error))
        return
    for group, fields in wanted.items():
        unknown = f"there is no such user group; correct {', '.join(fields)}"
        said = f"@{known[group]}" if group in known else unknown
        yield Finding(group in known, f"user group {group}", said)


def _users(settings: AlertSettings, client: WebClient) -> Iterator[Finding]:
    for field, user in _user_fields(settings):
        what = f"user {user}"
        try:
            found = told(partial(client.users_info, user=user))["user"]
        except RefusedError as error:
            missing = "user_not_found" in str(error)
            said = f"there is no such user; correct {field}" if missing else f"{field}: {error}"
            yield Finding(False, what, said)
        except ChannelError as error:
            yield Finding(False, what, f"{field}: {error}")
        else:
            gone = bool(found.get("deleted"))
            left = f"{found['name']} was deactivated and can't answer; take it out of {field}"
            yield Finding(not gone, what, left if gone else str(found["name"]))


def _reviewers(settings: AlertSettings, client: WebClient) -> Finding:
    if not settings.reviewers:
        return Finding(False, "reviewers", "alerts.reviewers is empty: nobody may answer")
    users = {one for one in settings.reviewers if not one.startswith("S")}
    try:
        for group in settings.reviewers:
            if group.startswith("S"):
                found = told(partial(client.usergroups_users_list, usergroup=group))
                users |= set(map(str, found["users"]))
    except ChannelError as error:
        return Finding(False, "reviewers", f"their groups can't be read: {error}")
    needed = 2 if settings.two_reviewers else 1
    said = f"{', '.join(settings.reviewers)}: {count(len(users), 'person', 'people')}"
    if len(users) < needed:
        return Finding(False, "reviewers", f"{said}, and to trust a version takes {needed}")
    return Finding(True, "reviewers", said)


def _user_fields(settings: AlertSettings) -> list[tuple[str, str]]:
    """Every user that the settings name, with the field that does."""
    return [
        (f"alerts.reviewers[{n}]", one)
        for n, one in enumerate(settings.reviewers)
        if not one.startswith("S")
    ]


def _group_fields(settings: AlertSettings) -> dict[str, list[str]]:
    """Every user group that the settings name, with the fields that do."""
    named = [
        (f"alerts.reviewers[{n}]", one)
        for n, one in enumerate(settings.reviewers)
        if one.startswith("S")
    ]
    for n, route in enumerate(settings.routes):
        named.append((f"alerts.routes[{n}].mention", route.mention or ""))
        named += [
            (f"alerts.routes[{n}].ladder[{m}].mention", rung.mention or "")
            for m, rung in enumerate(route.ladder)
        ]
    found: dict[str, list[str]] = {}
    for field, group in named:
        if group:
            found.setdefault(group, []).append(field)
    return dict(sorted(found.items()))


def _header(headers: Any, name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name:
            return str(value[0] if isinstance(value, list) else value)
    return ""
