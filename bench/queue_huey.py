"""The peer: Huey's SQLite queue with ``fsync=True``. It deletes a job when it claims it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

from huey import SqliteHuey

from bench.figures import Rate


class HueyQueue:
    """A queue in a file, worked off in this process without polls or sleeps: kind to it."""

    def __init__(self, path: Path) -> None:
        self._huey: Any = SqliteHuey(filename=str(path), fsync=True)
        self._job: Any = self._huey.task()(_nothing)

    def enqueue_on(self, payload: str, seconds: float) -> Rate:
        """Enqueue jobs for so long, from one caller."""
        count = 0
        start = now = perf_counter()
        while now - start < seconds:
            self._job(payload)
            count += 1
            now = perf_counter()
        self._huey.flush()
        return Rate(count, now - start)

    def completions_s(self, jobs: int) -> float:
        """Return how many no-op jobs a second are enqueued and run, one after the other."""
        start = perf_counter()
        for _ in range(jobs):
            self._job("")
        for _ in range(jobs):
            self._huey.execute(self._huey.dequeue())
        elapsed = perf_counter() - start
        if self._huey.pending_count():
            raise RuntimeError("Huey has not run all its jobs")
        return jobs / elapsed

    def close(self) -> None:
        """Close its database."""
        self._huey.storage.close()


def _nothing(_payload: str) -> None:
    pass


@contextmanager
def open_queue(path: Path) -> Iterator[HueyQueue]:
    """Open a queue and close it."""
    queue = HueyQueue(path)
    try:
        yield queue
    finally:
        queue.close()
