"""What the tests of drivers share: a sink that can refuse, a running driver, waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from hardware.driver import Driver, Observation
from hardware.simulators.watch import Watch

WAIT_S = 15.0


class NotDurable(Exception):
    """What this sink says when it is told to refuse."""


class MemorySink:
    """Stores observations; can refuse them, or hold them as a journal waits for its disk."""

    def __init__(self) -> None:
        self.stored: list[Observation] = []
        self.offered: list[Observation] = []
        self.refusals = 0
        """How many of the next observations are refused."""
        self.open = asyncio.Event()
        self.open.set()
        self._watch = Watch()

    async def __call__(self, observation: Observation) -> None:
        self.offered.append(observation)
        self._watch.notify()
        if self.refusals:
            self.refusals -= 1
            raise NotDurable(observation)
        await self.open.wait()
        self.stored.append(observation)
        self._watch.notify()

    async def until_stored(self, *observations: Observation) -> None:
        await self._watch.until(
            lambda: self.stored[-len(observations) :] == list(observations), timeout_s=WAIT_S
        )

    async def until_offered(self, count: int) -> None:
        await self._watch.until(lambda: len(self.offered) >= count, timeout_s=WAIT_S)


@contextlib.asynccontextmanager
async def running(driver: Driver, sink: MemorySink) -> AsyncIterator[None]:
    """Run a driver beside the block."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(driver.run(sink), name=driver.id)
        yield
        assert not task.done(), "a driver runs until cancelled"
        task.cancel()


async def eventually(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; for what announces no change."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0.01)
