"""Readings of the queues in Redis.

A message that a worker holds is in no list: Kombu keeps it in one hash for all queues. Redis is
asked directly, since Celery's own counts need a worker to answer.
"""

from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitor.jobs.outbox import QUEUES
from monitor.metrics.reading import Reading
from monitor.settings.broker import BrokerSettings

TIMEOUT_SECONDS = 2.0


def read_broker(settings: BrokerSettings) -> Iterator[Reading]:
    """Waiting and unconfirmed messages; nothing without a broker. Raises redis.RedisError."""
    if settings.url is None:
        return
    client = redis.Redis.from_url(
        settings.url.get_secret_value(),
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),  # the next scrape is one
    )
    with client:
        for queue in QUEUES:
            waiting = client.llen(f"{settings.key_prefix}{queue}")
            yield Reading("queue_length", (queue,), float(waiting))
        unacked = client.hlen(f"{settings.key_prefix}unacked")
        yield Reading("queue_unacked", (), float(unacked))
