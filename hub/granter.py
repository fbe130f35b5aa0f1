"""The loop around ``permits.py``: which start requests to look at, and when.

Driven by changes: a task that asked at some time and has changed, or a device that came. All open
requests are then looked at, the oldest first; devices ask only for what they would start at once,
so there are few.
"""

import asyncio
import logging
from collections.abc import Callable, Set
from functools import partial
from itertools import islice

from hub import permits
from shared.core.waiting import Waiting
from shared.errors import StoreClosed, StoreCorrupt
from shared.replica import Replica
from shared.store.transaction import Change, Reading

ROUND_MAX = 500  # tasks looked at in one transaction
RETRY_S = 1.0  # after a round that the store refused; what is due stays noted

_ASKED = 100  # ids in one question: a fixed number, so that the statement is prepared once
_MARKS = ", ".join(f"${n}" for n in range(1, _ASKED + 1))
ASKED = f"""SELECT e.subject FROM records e
    JOIN registers r ON r.record = e.id AND r.name = 'request.start'
    WHERE e.kind = 'task' AND e.subject IN ({_MARKS})"""  # noqa: S608 - ours
# After a start: requests that arrived and were not looked at, and what holds a lock.
OPEN = """SELECT t.id FROM tasks t CROSS JOIN records e
    JOIN registers r ON r.record = e.id AND r.name = 'request.start'
    WHERE t.status = 'waiting' AND t.seated = 1 AND e.kind = 'task' AND e.subject = t.id
    UNION SELECT task FROM locks UNION SELECT task FROM start_requests"""

log = logging.getLogger(__name__)


class Granter:
    """Gives devices leave to start claims, and shared locks with it."""

    def __init__(
        self, replica: Replica, connected: Callable[[], Set[str]], retry_s: float = RETRY_S
    ) -> None:
        """Build a granter; ``run`` starts it.

        Args:
            replica: The hub's.
            connected: Devices with an open session, whose rows are already written.
            retry_s: Pause after a round that failed.
        """
        self._replica = replica
        self._connected = connected
        self._retry_s = retry_s
        self._changed: dict[str, None] = {}
        self._is_due = True  # all open requests, whether or not a task has changed
        self._waits: dict[str, Waiting] = {}
        self._wake = asyncio.Event()

    def waits(self, task_id: str) -> Waiting | None:
        """Return which lock a task waits for, or None. Any thread may call it."""
        return self._waits.get(task_id)

    def poke(self) -> None:
        """Say that a device has connected or gone, or that a person has freed a lock."""
        self._is_due = True
        self._wake.set()

    async def run(self) -> None:
        """Grant until cancelled."""
        with self._replica.subscribe(self._heard):
            left = await self._replica.read(lambda r: r.query(OPEN))
            self._changed.update((task_id, None) for (task_id,) in left)
            self._wake.set()
            while True:
                await self._wake.wait()
                self._wake.clear()
                try:
                    await self._work()
                except StoreClosed:
                    return
                except StoreCorrupt:
                    raise
                except Exception:  # a full disk, a fault of ours: sync must not stop for it
                    log.exception("a round failed; again in %s s", self._retry_s)
                    await asyncio.sleep(self._retry_s)
                    self.poke()

    def _heard(self, changes: list[Change]) -> None:
        touched = {change.subject: None for change in changes if change.kind == "task"}
        if touched:
            self._changed.update(touched)
            self._wake.set()

    async def _work(self) -> None:
        while self._changed or self._is_due:
            batch = list(islice(self._changed, ROUND_MAX))
            is_due = self._is_due
            for task_id in batch:  # before the questions: what changes after them is noted anew
                del self._changed[task_id]
            self._is_due = False
            try:
                found = await self._replica.read(partial(_asked, ids=batch))
                if found or is_due:
                    look = partial(permits.look, changed=found, connected=self._connected())
                    self._waits = await self._replica.write(look)
            except BaseException:
                self._changed.update(dict.fromkeys(batch))
                self._is_due = True
                raise


def _asked(reading: Reading, ids: list[str]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(ids), _ASKED):
        some = ids[start : start + _ASKED]
        padded = some + [""] * (_ASKED - len(some))
        found += [task_id for (task_id,) in reading.query(ASKED, *padded)]
    return found
