"""Dashboard of the service: queues, workers, and how long a verdict takes."""

from deploy.grafana.panel import Dashboard, Panel, Query

_GPU_MEMORY = "latentwatch_worker_gpu_memory"
_STAGE = "sum by (stage) (latentwatch_job_stage_seconds_{part})"

SERVICE = Dashboard(
    "latentwatch-service",
    "latentwatch: workers and queues",
    "Whether the service keeps up, and what it spends its time on.",
    (
        Panel(
            "Workers",
            "That have told of themselves within the last minute.",
            (Query("latentwatch_workers_alive", "{{queue}}"),),
            kind="stat",
            width=6,
            height=4,
        ),
        Panel(
            "Waiting",
            "Queued diffs.",
            (Query("latentwatch:jobs_waiting:sum", "{{queue}}"),),
            kind="stat",
            width=6,
            height=4,
        ),
        Panel(
            "Due for",
            "How long the diff that has waited longest has been due.",
            (Query("latentwatch_job_oldest_due_seconds", "{{queue}}"),),
            kind="stat",
            unit="s",
            width=6,
            height=4,
            thresholds=((3600, "red"),),
        ),
        Panel(
            "Unsent messages",
            "Age of the oldest message to a worker that is due and unsent.",
            (Query("latentwatch_outbox_oldest_pending_seconds"),),
            kind="stat",
            unit="s",
            width=6,
            height=4,
            thresholds=((300, "red"),),
        ),
        Panel(
            "Diffs by state",
            "Over both queues.",
            (Query("sum by (state) (latentwatch_jobs)", "{{state}}"),),
        ),
        Panel(
            "Begun and ended per hour",
            "Tries without ends are crashes.",
            (
                Query("sum(increase(latentwatch_job_attempts_total[1h]))", "begun"),
                Query("sum(increase(latentwatch_job_turnaround_seconds_count[1h]))", "ended"),
            ),
        ),
        Panel(
            "Queued to verdict, 90th percentile of a day",
            "Waiting included.",
            (Query("latentwatch:job_turnaround_seconds:p90_1d", "{{queue}}"),),
            unit="s",
        ),
        Panel(
            "Time to compare, mean",
            "Of all diffs that ended with a verdict.",
            (
                Query(
                    "latentwatch_job_duration_seconds_sum / latentwatch_job_duration_seconds_count",
                    "{{queue}}",
                ),
            ),
            unit="s",
        ),
        Panel(
            "Time in each stage, mean",
            "Of the diffs that ran it.",
            (Query(f"{_STAGE.format(part='sum')} / {_STAGE.format(part='count')}", "{{stage}}"),),
            kind="bargauge",
            unit="s",
        ),
        Panel(
            "Running step",
            "Part that is done, by worker.",
            (Query("latentwatch_stage_progress_ratio", "{{worker}}: {{stage}}"),),
            kind="bargauge",
            unit="percentunit",
        ),
        Panel(
            "Speed of the running step",
            "In units of that step (training: batches) per second since it began.",
            (Query("latentwatch_stage_steps_per_second", "{{worker}}: {{stage}}"),),
        ),
        Panel(
            "Memory of comparisons",
            "Resident, by worker.",
            (Query("latentwatch_worker_memory_bytes", "{{worker}}"),),
            unit="bytes",
        ),
        Panel(
            "GPU memory in use",
            "Part of the GPU's memory that is taken, by whomever.",
            (
                Query(
                    f"{_GPU_MEMORY}_used_bytes / {_GPU_MEMORY}_bytes",
                    "{{worker}}",
                ),
            ),
            unit="percentunit",
            thresholds=((0.9, "orange"), (0.98, "red")),
        ),
        Panel(
            "Messages in Redis",
            "Waiting, and held by workers.",
            (
                Query("latentwatch_queue_length", "waiting: {{queue}}"),
                Query("latentwatch_queue_unacked", "held"),
            ),
        ),
        Panel(
            "Alerts unsent, by channel",
            "Age of the oldest change that a channel does not show yet.",
            (Query("latentwatch_alert_unsent_seconds", "{{channel}}"),),
            unit="s",
            thresholds=((300, "red"),),
        ),
        Panel(
            "What the exporter can't read",
            "1 for a part that is missing from the answers.",
            (Query("latentwatch_exporter_scrape_error", "{{part}}"),),
            kind="bargauge",
            thresholds=((1, "red"),),
        ),
        Panel(
            "Release",
            "Of the exporter.",
            (Query("latentwatch_build", "{{version}}"),),
            kind="stat",
        ),
    ),
)
