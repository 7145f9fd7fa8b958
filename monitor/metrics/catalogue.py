"""Every metric of the exporter: its name, kind, labels and meaning, as data.

Rules, dashboards and the docs' table are tested against it. Base units, and no digest, prompt or
feature as a label: history belongs in the database. Only what is called `version_…` may name single
versions, and only the newest of each line.
"""

from typing import Literal, NamedTuple

PREFIX = "latentwatch_"

Kind = Literal["gauge", "counter", "histogram"]


class Metric(NamedTuple):
    """One family; its full name is `PREFIX` and `name`, a counter's ends in `_total`."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_METRICS = (
    Metric("build", "gauge", ("version",), "1, with the version of latentwatch."),
    Metric("exporter_scrape_error", "gauge", ("part",), "1 where this part could not be read."),
    Metric(
        "watcher_last_success_timestamp_seconds",
        "gauge",
        ("line",),
        "When the watcher last saw what lies there; 0 where it never did.",
    ),
    Metric(
        "watcher_taking_in_seconds",
        "gauge",
        ("line",),
        "For how long the watcher has fetched and digested one push; 0 where it does not.",
    ),
    Metric(
        "watcher_problem",
        "gauge",
        ("line",),
        "1 where it could not look, or queue what it saw.",
    ),
    Metric(
        "versions_observed",
        "counter",
        ("line",),
        "Versions, aliases and refused pushes that the watcher has seen.",
    ),
    Metric(
        "versions_skipped",
        "counter",
        ("line",),
        "Versions that were skipped or overwritten before anybody checked them.",
    ),
    Metric("version_state", "gauge", ("line", "state"), "Versions in this state."),
    Metric(
        "version_info",
        "gauge",
        ("line", "version", "digest", "state"),
        "1 for each of the newest versions of a line.",
    ),
    Metric(
        "version_seen_timestamp_seconds",
        "gauge",
        ("line", "version", "digest"),
        "When each of the newest versions of a line was first seen.",
    ),
    Metric(
        "version_state_timestamp_seconds",
        "gauge",
        ("line", "version", "digest", "state"),
        "When each of them came into its state.",
    ),
    Metric(
        "version_oldest_unchecked_seconds",
        "gauge",
        ("line", "state"),
        "Age of the oldest version without a verdict in this state; 0 where there is none.",
    ),
    Metric(
        "version_refused",
        "gauge",
        ("line",),
        "Pushes that can't be read as they lie there: incomplete or unsafe.",
    ),
    Metric("jobs", "gauge", ("queue", "state"), "Diffs in this state."),
    Metric(
        "jobs_undecided",
        "gauge",
        ("queue",),
        "Failed diffs of versions that are undecided or flagged, without a later verdict.",
    ),
    Metric(
        "job_attempts",
        "counter",
        ("queue",),
        "Tries of all diffs that have ended; who passes one on has not tried.",
    ),
    Metric(
        "job_oldest_due_seconds",
        "gauge",
        ("queue",),
        "How long the diff that has waited longest has been due; 0 where none is.",
    ),
    Metric("job_duration_seconds", "histogram", ("queue",), "Time to compare, of ended diffs."),
    Metric(
        "job_stage_seconds", "histogram", ("stage",), "Time in a stage, of ended diffs that ran it."
    ),
    Metric(
        "job_turnaround_seconds",
        "histogram",
        ("queue",),
        "From being queued to the verdict, waiting included.",
    ),
    Metric("job_running_seconds", "gauge", ("worker",), "Age of the try that the worker is at."),
    Metric(
        "job_still_seconds",
        "gauge",
        ("worker",),
        "How long ago the diff that the worker is at came further.",
    ),
    Metric(
        "job_limit_seconds",
        "gauge",
        ("limit",),
        "How long a try may run, and how long it may stay still, before it is ended.",
    ),
    Metric(
        "workers_alive",
        "gauge",
        ("queue",),
        "Workers that have told of themselves lately; missing without a broker.",
    ),
    Metric("claims_held", "gauge", (), "Diffs and questions that somebody is at work on."),
    Metric(
        "host_clock_ahead_seconds",
        "gauge",
        ("host",),
        "By how much its clock is ahead of the database's; missing on SQLite, which has one host.",
    ),
    Metric(
        "stage_progress_ratio",
        "gauge",
        ("worker", "stage"),
        "Part of the running step of this stage that is done.",
    ),
    Metric(
        "stage_steps_per_second",
        "gauge",
        ("worker", "stage"),
        "Speed of the running step, in its own units, since it began.",
    ),
    Metric(
        "worker_memory_bytes",
        "gauge",
        ("worker",),
        "Resident memory of the process that compares.",
    ),
    Metric(
        "worker_gpu_memory_used_bytes",
        "gauge",
        ("worker",),
        "Memory of its GPU that is in use, by whomever; missing without a GPU.",
    ),
    Metric("worker_gpu_memory_bytes", "gauge", ("worker",), "All memory of its GPU."),
    Metric("queue_length", "gauge", ("queue",), "Messages waiting in the broker."),
    Metric("queue_unacked", "gauge", (), "Messages that workers hold and have not confirmed."),
    Metric(
        "outbox_oldest_pending_seconds",
        "gauge",
        (),
        "How long the oldest due message has not been sent; 0 where none is due, missing without a "
        "broker.",
    ),
    Metric("alerts", "gauge", ("state", "severity"), "Alerts that wait for a reviewer."),
    Metric(
        "alert_oldest_open_seconds",
        "gauge",
        (),
        "How long the oldest alert has been open that nobody has acknowledged; 0 where none is.",
    ),
    Metric(
        "alert_unsent_seconds",
        "gauge",
        ("channel",),
        "How long the oldest change has been due that this channel does not show, or an alert for "
        "it has waited for alerts serve to run; 0 where none is.",
    ),
    Metric(
        "alert_channel_failing_seconds",
        "gauge",
        ("channel",),
        "For how long something could not be sent to this channel; 0 where it works.",
    ),
    Metric(
        "alert_time_to_acknowledge_seconds",
        "histogram",
        (),
        "From the opening of an alert, each time, to a person's first answer.",
    ),
    Metric(
        "alert_time_to_decide_seconds",
        "histogram",
        ("decision",),
        "From the first opening of an alert to the version being trusted or quarantined.",
    ),
    Metric("questions", "gauge", ("state",), "Questions about alerts in this state."),
    Metric(
        "question_oldest_open_seconds",
        "gauge",
        (),
        "How long the oldest question without an answer has waited for it; 0 where none waits.",
    ),
    Metric(
        "question_seconds",
        "histogram",
        ("kind",),
        "From being asked to the answer, waiting included.",
    ),
    Metric(
        "behaviour_shift_nats",
        "gauge",
        ("line", "behaviour", "against"),
        "Shift of the newest candidate, in nats per token.",
    ),
    Metric(
        "behaviour_noise_floor_nats",
        "gauge",
        ("line", "behaviour", "against"),
        "What the shift has to exceed, in nats per token.",
    ),
    Metric(
        "behaviour_flagged",
        "gauge",
        ("line", "behaviour", "against"),
        "1 where the newest candidate is flagged for it.",
    ),
    Metric(
        "exclusive_features",
        "gauge",
        ("line", "side", "against"),
        "Short-listed features that only the newest candidate, or only its base, has.",
    ),
    Metric(
        "feature_steering_effect_max_ratio",
        "gauge",
        ("line", "behaviour", "against"),
        "Largest part of the shift that ablating one new feature removes.",
    ),
    Metric(
        "verdicts_unreadable",
        "gauge",
        ("line",),
        "Verdicts that can't be read: damaged, or of another release.",
    ),
    Metric("line_calibration_age_seconds", "gauge", ("line",), "Age of its calibration."),
)
METRICS = {metric.name: metric for metric in _METRICS}
"""By short name."""
