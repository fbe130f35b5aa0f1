"""Two more queues in a SQLite file, each at its most durable: put, taken, acknowledged.

Unlike Huey they keep a job until it is acknowledged, so a crash loses none: three commits a job,
and an fsync each. Both are worked off by one caller in this process, without polls or sleeps.
"""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Any

from litequeue import LiteQueue
from persistqueue import SQLiteAckQueue

from bench.figures import Rate


def litequeue_s(path: Path, jobs: int) -> float:
    """Return how many no-op jobs a second litequeue takes and runs."""
    queue: Any = LiteQueue(str(path))
    queue.conn.execute("PRAGMA synchronous = FULL")  # its own default may lose the last commits
    with closing(queue.conn):
        return _completions_s(
            jobs,
            put=lambda: queue.put(""),
            take=lambda: queue.pop().message_id,
            end=queue.done,
        )


def persist_queue_s(path: Path, jobs: int) -> float:
    """Return how many no-op jobs a second persist-queue takes and runs."""
    queue: Any = SQLiteAckQueue(str(path))  # WAL, and SQLite's own default: FULL
    with closing(queue):
        return _completions_s(
            jobs,
            put=lambda: queue.put(""),
            take=lambda: queue.get(block=False, raw=True)["pqid"],
            end=lambda job: queue.ack(id=job),
        )


def _completions_s(
    jobs: int, put: Callable[[], Any], take: Callable[[], Any], end: Callable[[Any], Any]
) -> float:
    start = perf_counter()
    for _ in range(jobs):
        put()
    for _ in range(jobs):
        end(take())
    return Rate(jobs, perf_counter() - start).per_s
