"""A thread that owns a database connection and runs what is handed to it, in order.

A thread pool of one would do the same; this costs a third less for each hop, and a lone durable
write is mostly its fsync and its two hops.
"""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Done = Callable[[Any, BaseException | None], None]
Job = tuple[asyncio.AbstractEventLoop, Callable[[], Any], Done]


class DatabaseThread:
    """Runs jobs until closed. The callers bound its queue: one group of writes at a time."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._open = 0  # jobs that were handed over and are not answered
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[], Any], done: Done) -> None:
        """Run ``work`` on the thread, then ``done(result, error)`` on this event loop."""

        def answer(result: Any, error: BaseException | None) -> None:
            self._open -= 1
            done(result, error)

        self._open += 1
        self._jobs.put((asyncio.get_running_loop(), work, answer))

    @property
    def is_idle(self) -> bool:
        """Whether the connection is free: nothing was handed over that is not answered."""
        return not self._open

    async def call(self, work: Callable[[], T]) -> T:
        """Run ``work`` on the thread and return its result."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(result: T, error: BaseException | None) -> None:
            if answer.done():  # the caller was cancelled; the work is done all the same
                return
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

        self.submit(work, done)
        return await answer

    def close(self) -> None:
        """Let what was handed over end, and the thread with it."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            loop, work, done = job
            result, error = None, None
            try:
                result = work()
            except BaseException as raised:  # noqa: BLE001 - it belongs to who handed it over
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(done, result, error)
