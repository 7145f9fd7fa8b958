"""Dashboard of all lines: what is unchecked, what is flagged, and whether anybody looks."""

from deploy.grafana.panel import Dashboard, Panel, Query

WAITING = 'latentwatch_version_oldest_unchecked_seconds{state=~"new|checking|undecided"}'

_TO_ACKNOWLEDGE = "latentwatch_alert_time_to_acknowledge_seconds"
_TO_ANSWER = "latentwatch_question_seconds"
_TO_DECIDE = "latentwatch_alert_time_to_decide_seconds"

FLEET = Dashboard(
    "latentwatch-fleet",
    "latentwatch: fleet",
    "All lines at a glance.",
    (
        Panel(
            "Flagged versions",
            "Versions that wait for a reviewer's decision.",
            (Query('sum(latentwatch_version_state{state="flagged"})'),),
            kind="stat",
            width=6,
            height=4,
            thresholds=((1, "red"),),
        ),
        Panel(
            "Oldest unchecked",
            "Age of the version that has waited longest for a verdict, over all lines; skipped and"
            " refused ones are not waiting.",
            (Query(f"max({WAITING})"),),
            kind="stat",
            unit="s",
            width=6,
            height=4,
            thresholds=((21_600, "orange"), (86_400, "red")),
        ),
        Panel(
            "Refused pushes",
            "Pushes that can't be read as they lie there.",
            (Query("sum(latentwatch_version_refused)"),),
            kind="stat",
            width=6,
            height=4,
            thresholds=((1, "orange"),),
        ),
        Panel(
            "Last look",
            "How long ago the line was looked at that was looked at longest ago.",
            (Query("time() - min(latentwatch_watcher_last_success_timestamp_seconds)"),),
            kind="stat",
            unit="s",
            width=6,
            height=4,
            thresholds=((300, "orange"), (600, "red")),
        ),
        Panel(
            "Alerts that wait",
            "Open, acknowledged or snoozed, for a reviewer's decision.",
            (Query("sum by (state, severity) (latentwatch_alerts)", "{{state}}, {{severity}}"),),
        ),
        Panel(
            "Oldest alert that nobody has acknowledged",
            "Zero where none is open.",
            (Query("latentwatch_alert_oldest_open_seconds"),),
            unit="s",
        ),
        Panel(
            "Time to acknowledge and to decide, mean",
            "From the opening of an alert to a person's first answer, and to trust or quarantine.",
            (
                Query(
                    f"{_TO_ACKNOWLEDGE}_sum / {_TO_ACKNOWLEDGE}_count",
                    "acknowledge",
                ),
                Query(f"{_TO_DECIDE}_sum / {_TO_DECIDE}_count", "{{decision}}"),
            ),
            unit="s",
        ),
        Panel(
            "Time to acknowledge, 90th percentile of a week",
            "Of the alerts that were answered within it.",
            (
                Query(
                    "histogram_quantile(0.9, sum by (le)"
                    f" (increase({_TO_ACKNOWLEDGE}_bucket[7d])))",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Questions about alerts",
            "By their state; workers answer them before they compare.",
            (Query("latentwatch_questions", "{{state}}"),),
        ),
        Panel(
            "Time to answer a question, mean",
            "From being asked, waiting included.",
            (Query(f"{_TO_ANSWER}_sum / {_TO_ANSWER}_count", "{{kind}}"),),
            unit="s",
        ),
        Panel(
            "Channels that can't be written to",
            "For how long; zero where alerts arrive.",
            (Query("latentwatch_alert_channel_failing_seconds", "{{channel}}"),),
            kind="bargauge",
            unit="s",
            thresholds=((300, "red"),),
        ),
        Panel(
            "Versions by state",
            "New, checking, undecided and superseded ones are unchecked.",
            (Query("sum by (state) (latentwatch_version_state) > 0", "{{state}}"),),
        ),
        Panel(
            "Oldest unchecked, by line",
            "Zero where nothing waits.",
            (Query(f"max by (line) ({WAITING})", "{{line}}"),),
            unit="s",
        ),
        Panel(
            "Shift over noise floor, largest of each line",
            "The newest candidate against the trusted version; beyond 1 a shift may be flagged.",
            (
                Query(
                    "max by (line) (latentwatch:behaviour_shift:over_noise_floor"
                    '{against="trusted"})',
                    "{{line}}",
                ),
            ),
            thresholds=((1, "red"),),
        ),
        Panel(
            "Pushes seen per day",
            "Versions, aliases and refused pushes.",
            (
                Query(
                    "sum by (line) (increase(latentwatch_versions_observed_total[1d]))", "{{line}}"
                ),
            ),
        ),
        Panel(
            "Newest versions",
            "The five newest of each line.",
            (Query("latentwatch_version_info"),),
            kind="table",
            width=24,
        ),
        Panel(
            "Lines that are held up",
            "1 where no look or no queueing was possible; `latentwatch status` says why.",
            (Query("latentwatch_watcher_problem", "{{line}}"),),
            kind="bargauge",
            thresholds=((1, "red"),),
        ),
        Panel(
            "Age of calibrations",
            "A line that was never calibrated is missing.",
            (Query("latentwatch_line_calibration_age_seconds", "{{line}}"),),
            kind="bargauge",
            unit="s",
            thresholds=((7_776_000, "orange"),),
        ),
    ),
)
