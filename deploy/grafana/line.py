"""Dashboard of one line: how far its candidates shift, from what, and what carries it."""

from deploy.grafana.panel import Annotation, Dashboard, Panel, Query

_LINE = '{line="$line"}'
_WHICH = "{{version}}: {{state}}"


def _against(base: str) -> str:
    return f'{{line="$line",against="{base}"}}'


def _came_into(states: str) -> str:
    return f'latentwatch_version_state_timestamp_seconds{{line="$line",state=~"{states}"}}'


LINE = Dashboard(
    "latentwatch-line",
    "latentwatch: line",
    "One line over time: each step is a new candidate.",
    (
        Panel(
            "Flagged behaviours of the newest candidate",
            "1 where it is flagged.",
            (Query(f"latentwatch_behaviour_flagged{_LINE} == 1 or vector(0)", "{{behaviour}}"),),
            kind="stat",
            width=8,
            height=5,
            thresholds=((1, "red"),),
        ),
        Panel(
            "States",
            "How many versions are in which state.",
            (Query(f"latentwatch_version_state{_LINE} > 0", "{{state}}"),),
            kind="bargauge",
            width=8,
            height=5,
        ),
        Panel(
            "Exclusive features",
            "Short-listed: new in the candidate, or gone with the base.",
            (Query(f"latentwatch_exclusive_features{_LINE}", "{{side}} against {{against}}"),),
            kind="bargauge",
            width=8,
            height=5,
        ),
        Panel(
            "Shift against the trusted version",
            "In nats per token; compare with the noise floor beside it.",
            (Query(f"latentwatch_behaviour_shift_nats{_against('trusted')}", "{{behaviour}}"),),
            height=10,
        ),
        Panel(
            "Noise floor",
            "What a shift has to exceed, in nats per token.",
            (
                Query(
                    f"latentwatch_behaviour_noise_floor_nats{_against('trusted')}", "{{behaviour}}"
                ),
            ),
            height=10,
        ),
        Panel(
            "Shift against the anchor",
            "Slow drift in small steps shows here first.",
            (Query(f"latentwatch_behaviour_shift_nats{_against('anchor')}", "{{behaviour}}"),),
            height=10,
        ),
        Panel(
            "Shift over noise floor",
            "Against both bases; beyond 1 a shift may be flagged.",
            (
                Query(
                    f"latentwatch:behaviour_shift:over_noise_floor{_LINE}",
                    "{{behaviour}} against {{against}}",
                ),
            ),
            height=10,
            thresholds=((1, "red"),),
        ),
        Panel(
            "Steering: the most that one feature removes",
            "Largest part of a shift that ablating one new feature takes away.",
            (
                Query(
                    f"latentwatch_feature_steering_effect_max_ratio{_LINE}",
                    "{{behaviour}} against {{against}}",
                ),
            ),
            unit="percentunit",
            width=24,
        ),
    ),
    chosen_by="line",
    annotations=(
        Annotation(
            "Push",
            f"latentwatch_version_seen_timestamp_seconds{_LINE}",
            "{{version}} ({{digest}})",
            "blue",
        ),
        Annotation("Verdict", _came_into("passed|flagged|undecided"), _WHICH, "orange"),
        Annotation("Decision", _came_into("trusted|quarantined"), _WHICH, "purple"),
    ),
)
