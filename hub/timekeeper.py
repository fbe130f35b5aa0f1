"""The loop around schedules: wakes at the next slot, and twice a minute in case the clock jumps."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from itertools import islice

from hub import firing
from shared.core.kinds import schedule as schedules
from shared.errors import Refused, StoreClosed, StoreCorrupt
from shared.replica import Replica
from shared.store.transaction import Change, Reading

LOOK_S = 30.0
READ_MAX = 100  # schedules read in one step, so that other readers get their turn
IN_USE = "SELECT id FROM schedules WHERE retired = 0"

log = logging.getLogger(__name__)


class Timekeeper:
    """Knows the next slot of each schedule in use, and has the tasks submitted that are due."""

    def __init__(self, replica: Replica, now_ms: Callable[[], int], look_s: float = LOOK_S) -> None:
        """Build a timekeeper; ``run`` starts it.

        Args:
            replica: The hub's.
            now_ms: Wall clock, Unix ms.
            look_s: Longest sleep: the clock may jump.
        """
        self._replica = replica
        self._look_s = look_s
        self._now_ms = now_ms
        self._changed: dict[str, None] = {}  # schedules to read anew
        self._next: dict[str, int] = {}  # the next slot of each that has one
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Keep time until cancelled."""
        with self._replica.subscribe(self._heard):
            await self.load()
            while True:
                self._wake.clear()
                try:
                    await self.tick(self._now_ms())
                except StoreClosed:
                    return
                except StoreCorrupt:
                    raise
                except Exception:  # a full disk, a fault of ours: the slots stay due
                    log.exception("schedules could not be looked at; again in %s s", self._look_s)
                    await asyncio.sleep(self._look_s)
                    continue
                await self._sleep()

    async def load(self) -> None:
        """Have every schedule in use looked at."""
        rows = await self._replica.read(lambda reading: reading.query(IN_USE))
        self._changed.update((schedule_id, None) for (schedule_id,) in rows)

    async def tick(self, now_ms: int) -> None:
        """Submit what is due at an instant, Unix ms; afterwards nothing is."""
        await self._learn()
        for schedule_id in [i for i, slot in self._next.items() if slot <= now_ms]:
            try:
                fire = partial(firing.fire, schedule_id=schedule_id, now_ms=now_ms)
                await self._replica.write(fire)
            except Refused:  # one bad schedule never stops the rest (promise 6)
                log.exception("schedule %s cannot run; change it or delete it", schedule_id)
            del self._next[schedule_id]
            self._changed[schedule_id] = None
        await self._learn()

    async def _learn(self) -> None:
        while batch := list(islice(self._changed, READ_MAX)):
            for schedule_id in batch:  # before the question: what changes after it is noted anew
                del self._changed[schedule_id]
            try:
                found = await self._replica.read(partial(_next_slots, ids=batch))
            except BaseException:
                self._changed.update(dict.fromkeys(batch))
                raise
            for schedule_id in batch:
                self._next.pop(schedule_id, None)
            self._next.update(found)

    def _heard(self, changes: list[Change]) -> None:
        for change in changes:
            if change.kind == firing.KIND:
                self._changed[change.subject] = None
                self._wake.set()

    async def _sleep(self) -> None:
        until = min(self._next.values(), default=None)
        seconds = self._look_s if until is None else (until - self._now_ms()) / 1000
        try:
            async with asyncio.timeout(max(0.0, min(self._look_s, seconds))):
                await self._wake.wait()
        except TimeoutError:
            return


def _next_slots(reading: Reading, ids: list[str]) -> dict[str, int]:
    found = {}
    for schedule_id in ids:
        schedule = schedules.read(reading.record(firing.KIND, schedule_id))
        if schedule is None:
            continue
        try:
            slot = firing.next_ms(schedule, firing.mark(reading, schedule_id))
        except Refused as error:
            log.warning("schedule %s cannot run: %s", schedule_id, error)
            continue
        if slot is not None:
            found[schedule_id] = slot
    return found
