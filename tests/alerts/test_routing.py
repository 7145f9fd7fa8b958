"""Where alerts go: the first route that fits, for every behaviour, once per channel."""

import pytest
from pydantic import ValidationError

from alerts.routing import Route, by_channel, mentions_of, routes_of

REFUSALS = Route(channel="C0REFUSAL", behaviours=["*refusal*"])
CRITICAL = Route(channel="C0CRITICAL", severities=["critical"], lines=["chat-*"])
REST = Route(channel="C0REST")
ROUTES = [REFUSALS, CRITICAL, REST]


@pytest.mark.parametrize(
    "line, behaviours, severity, channels",
    [
        ("chat-a", ["sycophancy"], "critical", ["C0CRITICAL"]),
        ("chat-a", ["sycophancy"], "warning", ["C0REST"]),
        ("code", ["sycophancy"], "critical", ["C0REST"]),
        ("chat-a", ["over_refusal", "sycophancy"], "critical", ["C0REFUSAL", "C0CRITICAL"]),
        ("chat-a", ["a", "b"], "warning", ["C0REST"]),
        ("chat-a", [], "warning", ["C0REST"]),
    ],
)
def test_every_alert_goes_where_its_behaviours_lead(
    line: str, behaviours: list[str], severity: str, channels: list[str]
) -> None:
    found = routes_of(ROUTES, line, behaviours, severity)  # type: ignore[arg-type]
    assert [route.channel for route in found] == channels


def test_only_a_route_without_conditions_takes_everything() -> None:
    assert REST.takes_everything
    assert not REFUSALS.takes_everything and not CRITICAL.takes_everything


@pytest.mark.parametrize("wrong", [{"channel": "#alerts"}, {"channel": "C0A", "mention": "@all"}])
def test_names_in_place_of_ids_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Route.model_validate(wrong)


def test_all_routes_to_a_channel_count() -> None:
    routes = [
        Route(channel="C0A", mention="S0SAFETY"),
        Route(channel="C0A", mention="S0LEGAL", behaviours=["tone"]),
        Route(channel="C0A", mention="S0SAFETY", behaviours=["refusal"]),
    ]
    assert by_channel(routes) == {"C0A": routes}
    assert mentions_of(routes) == ["S0SAFETY", "S0LEGAL"]
