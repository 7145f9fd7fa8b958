"""The Celery application: how messages travel, and that they are only wake-ups.

The database decides what runs; a message that is lost, comes twice or comes late changes nothing
(`monitor.jobs.outbox`, `monitor.jobs.reconcile`). So nothing is retried, revoked or kept by Celery
itself.
"""

from collections.abc import Mapping
from typing import Any

from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from monitor.errors import BrokerError
from monitor.jobs.outbox import GPU, QUEUES, Message
from monitor.settings import Settings

COMPARE = "latentwatch.compare"
VISIBILITY_SECONDS = 900


def make_app(settings: Settings) -> Celery:
    """The application on the broker of `settings`. Raises BrokerError when there is none."""
    url = settings.broker.url
    if url is None:
        raise BrokerError(
            "broker.url: no broker is set, so `latentwatch watch` compares by itself; set "
            "LATENTWATCH_BROKER__URL=redis://HOST:6379/0 for workers in other processes"
        )
    app = Celery("latentwatch", broker=url.get_secret_value(), set_as_current=False)
    app.conf.update(
        # A message is acknowledged when its diff has ended; one that comes again is refused by the
        # claim. What a lost worker was at is the reconciler's, with its waits and its limit.
        task_acks_late=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        task_retry_on_worker_lost=False,
        task_reject_on_worker_lost=False,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        enable_utc=True,
        # One GPU, one diff at a time, and no message held back behind it.
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # Cutting a diff off because the connection broke would lose hours of work for nothing.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_max_tasks_per_child=50,
        # SIGTERM is a warm shutdown in which the diff saves and ends by itself
        # (workers.dispatch.service); SIGQUIT puts an end to that.
        worker_soft_shutdown_timeout=settings.broker.grace_seconds,
        worker_enable_soft_shutdown_on_idle=True,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        visibility_timeout=VISIBILITY_SECONDS,
        task_publish_retry=False,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "health_check_interval": 25,
            "socket_connect_timeout": 10,
            "socket_timeout": 60,
            "socket_keepalive": True,
            "global_keyprefix": settings.broker.key_prefix,
        },
        task_queues=[Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        task_default_queue=GPU,
        task_create_missing_queues=False,
    )
    return app


def send(app: Celery, message: Message) -> None:
    """Wake a worker. Raises BrokerError when Redis can't be reached."""
    try:
        app.send_task(COMPARE, args=[message.diff_id], queue=message.queue)
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerError(f"Redis can't be reached, so no worker was woken: {error}") from error


def queue_depths(app: Celery) -> Mapping[str, int]:
    """Messages that wait, by queue. Raises BrokerError when Redis can't be reached."""
    try:
        with app.connection_for_read() as connection:
            client: Any = connection.default_channel.client
            return {queue: client.llen(queue) for queue in QUEUES}
    except (OperationalError, RedisError, OSError) as error:
        raise BrokerError(f"Redis can't be reached: {error}") from error
