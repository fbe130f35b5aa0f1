"""The hub sits for tasks that nobody has: it gives them to devices, and answers for them till then.

What it looks at is driven by changes, never by a scan: a task that changed and those that come
after it, the tasks whose need a changed device now meets, what a device that has gone may not
start without a permit, and what is due by the clock. Tasks that wait for a device are kept in
memory by need, so that a thousand devices reporting their disk do not touch a hundred thousand
tasks; tasks that wait for others are found through their edges when those change. A round looks
at no more than ROUND_MAX tasks in one transaction, which sees each task as it is by then.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Set
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from hub import allocation, fleet, returned, seating
from hub.allocation import BATTERY, Battery, DeviceState, Need
from hub.fleet import Fleet
from hub.release import PATIENCE, Patience
from hub.round import Terms
from shared.core.times import Times
from shared.core.waiting import Waiting
from shared.errors import StoreClosed, StoreCorrupt
from shared.replica import Replica
from shared.store.transaction import Change, Reading

ROUND_MAX = 500  # tasks in one transaction: some 50 ms during which others wait for the disk
LOOK_S = 10.0  # longest sleep while anything is due at a date: a wall clock jumps
RETRY_S = 1.0  # after a round that the store refused; nothing is lost, the tasks stay noted

_ASKED = 100  # ids in one question: a fixed number, so that the statement is prepared once
_MARKS = ", ".join(f"${n}" for n in range(1, _ASKED + 1))
# What a change of these tasks may set free: they themselves, what comes after them, what comes
# before them and waits for them to be given back, and the next of their group. CROSS JOIN makes
# SQLite begin with the edges; it would rather look at every waiting task.
OPEN = "status IN ('waiting', 'running', 'cancelling')"
TOUCHED = f"""SELECT id FROM tasks
    WHERE id IN ({_MARKS}) AND {OPEN} AND (seated = 0 OR released = 1 OR unique_key IS NOT NULL)
    UNION SELECT e.task FROM edges e CROSS JOIN tasks t
    WHERE e.after IN ({_MARKS}) AND t.id = e.task AND t.status = 'waiting'
    AND (t.seated = 0 OR t.released = 1)
    UNION SELECT e.after FROM edges e CROSS JOIN tasks t
    WHERE e.task IN ({_MARKS}) AND t.id = e.after AND t.status = 'waiting' AND t.seated = 0
    UNION SELECT (SELECT o.id FROM tasks o WHERE o.site = t.site AND o.group_key = t.group_key
        AND o.status IN ('waiting', 'running', 'cancelling', 'unknown')
        AND o.status = 'waiting' AND o.seated = 0 ORDER BY o.created_at, o.id LIMIT 1) AS next
    FROM tasks t WHERE t.id IN ({_MARKS}) AND t.group_key IS NOT NULL
    AND next IS NOT NULL"""  # noqa: S608 - ours
UNSEATED = """SELECT id FROM tasks WHERE status = 'waiting' AND seated = 0
    ORDER BY priority, deadline, created_at, id"""
RELEASED = f"""SELECT id FROM tasks
    WHERE device = $1 AND {OPEN} AND seated = 1 AND released = 1 ORDER BY id"""  # noqa: S608 - ours

log = logging.getLogger(__name__)


class Sitter:
    """Allocates, cancels what is doomed or asked for, and settles what a lost journal leaves."""

    def __init__(
        self,
        replica: Replica,
        connected: Callable[[], Set[str]],
        now_ms: Callable[[], int],
        boot_ms: Callable[[], int],
        retry_s: float = RETRY_S,
        patience: Patience = PATIENCE,
        battery: Battery = BATTERY,
        look_s: float = LOOK_S,
        unready: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Build a sitter; ``run`` starts it.

        Args:
            replica: The hub's.
            connected: Devices with an open session, whose rows are already written; a set that
                nobody changes once it was returned.
            now_ms: Wall clock, Unix ms.
            boot_ms: Clock that counts suspended time and that nobody sets, ms.
            retry_s: Pause after a round that failed.
            patience: How long to wait for silent devices.
            battery: Below what charge a device gets nothing.
            look_s: Longest sleep while anything is due at a date.
            unready: Connected devices that get nothing at present, and why.
        """
        self._replica = replica
        self._retry_s = retry_s
        self._look_s = look_s
        self._now_ms = now_ms
        self._boot_ms = boot_ms
        self._silent: dict[str, int] = {}  # devices that are away, since when, boot clock
        self._patience = patience
        self._fleet = Fleet(connected, battery, unready)
        self._changed: dict[str, None] = {}  # tasks to look at, in order of their change
        self._devices: set[str] = set()  # devices whose row changed
        self._due: dict[str, None] = {}  # unseated tasks for the next rounds, in order
        self._stuck: dict[Need, dict[str, None]] = {}  # ready, but no device can take them
        self._needs: dict[str, Need] = {}  # the same by task
        self._later = Times()  # tasks to look at again by the boot clock
        self._dated = Times()  # the same by the wall clock
        self._waits: dict[str, Waiting] = {}
        self._wake = asyncio.Event()

    def waits(self, task_id: str) -> Waiting | None:
        """Return why a task waits, if neither its record nor a device explains it.

        Any thread may call it.
        """
        return self._waits.get(task_id)

    @property
    def devices(self) -> Mapping[str, DeviceState]:
        """Devices by id as of the last round: another object once something has changed."""
        return self._fleet.states

    def poke(self) -> None:
        """Say that a device has connected or gone."""
        self._wake.set()

    async def run(self) -> None:
        """Sit until cancelled."""
        with self._replica.subscribe(self._heard):
            await self._load()
            while True:
                await self._until_due()
                self._wake.clear()
                try:
                    await self._work()
                except StoreClosed:
                    return
                except StoreCorrupt:
                    raise
                except Exception:  # a full disk, a fault of ours: sync must not stop for it
                    log.exception("a round failed; again in %s s", self._retry_s)
                    await asyncio.sleep(self._retry_s)  # what is due stays noted
                    self._wake.set()

    async def device_returned(self, device: str, incarnation: str) -> int:
        """Settle what a device had under a journal that it no longer writes.

        To be called once what it still had of its older logs has arrived: what those say, counts.

        Returns:
            How many tasks were settled.
        """
        settled = 0
        for status in returned.UNFINISHED:
            after: returned.Place | None = returned.START
            while after is not None:
                settle = partial(
                    returned.settle,
                    device=device,
                    incarnation=incarnation,
                    status=status,
                    after=after,
                )
                count, after = await self._replica.write(settle)
                settled += count
        return settled

    # ------------------------------------------------------------------ what to look at

    async def _until_due(self) -> None:
        """Wait for a change, or for what is due by a clock."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s()):
                await self._wake.wait()

    def _pause_s(self) -> float | None:
        """Return how long nothing is due by itself, in seconds; None: for ever."""
        pauses = []
        at_ms, date_ms = self._later.first(), self._dated.first()
        if at_ms is not None:
            pauses.append((at_ms - self._boot_ms()) / 1000)
        if date_ms is not None:
            pauses.append(min(self._look_s, (date_ms - self._now_ms()) / 1000))
        return max(0.0, min(pauses)) if pauses else None

    def _heard(self, changes: list[Change]) -> None:
        for change in changes:
            if change.kind == "task":
                self._changed[change.subject] = None
            elif change.kind == "device":
                self._devices.add(change.subject)
        if self._changed or self._devices:
            self._wake.set()

    async def _load(self) -> None:
        def question(reading: Reading) -> tuple[list[tuple[str]], list[tuple[object, ...]]]:
            return reading.query(UNSEATED), fleet.rows(reading, None)

        unseated, devices = await self._replica.read(question)
        self._learn(devices)
        self._due.update((task_id, None) for (task_id,) in unseated)
        gone = [state.id for state in self._fleet.states.values() if not state.connected]
        await self._look_at_gone(gone)
        self._wake.set()

    async def _work(self) -> None:
        """Run rounds until nothing is left to look at."""
        await self._look_at_devices()
        self._look_at_clock()
        while self._changed or self._due or self._devices:
            await self._look_at_devices()
            await self._look_at_tasks()
            await self._round()

    async def _look_at_devices(self) -> None:
        """Note the stuck tasks whose need a changed device meets."""
        names, self._devices = self._devices, set()
        try:
            rows = await self._replica.read(lambda r: fleet.rows(r, names)) if names else []
        except BaseException:
            self._devices |= names
            raise
        changed = self._learn(rows)
        await self._look_at_gone([device.id for device in changed if not device.connected])
        for wanted in list(self._stuck) if changed else ():
            if any(allocation.fits(wanted, device) for device in changed):
                for task_id in self._stuck.pop(wanted):
                    del self._needs[task_id]
                    self._due[task_id] = None

    def _learn(self, rows: list[tuple[Any, ...]]) -> list[DeviceState]:
        """Take rows of devices; note since when those that are away are silent.

        At the hub's start that is then: before, it was the hub that heard nobody.
        """
        changed = [self._fleet.states[device] for device in self._fleet.learn(rows)]
        for device in changed:
            if device.connected:
                self._silent.pop(device.id, None)
            else:
                self._silent.setdefault(device.id, self._boot_ms())
        return changed

    async def _look_at_gone(self, devices: list[str]) -> None:
        """Note what devices that are not here may not start without a permit."""
        for device in devices:
            rows = await self._replica.read(partial(_released, device=device))
            self._due.update(dict.fromkeys(rows))

    def _look_at_clock(self) -> None:
        due = self._later.due(self._boot_ms(), ROUND_MAX)
        due += self._dated.due(self._now_ms(), ROUND_MAX)
        for task_id in due:
            self._forget(task_id)
            self._due[task_id] = None

    async def _look_at_tasks(self) -> None:
        """Note the unseated tasks that changes have touched."""
        ids = list(islice(self._changed, ROUND_MAX))
        for task_id in ids:  # before the question: what changes after it is noted anew
            del self._changed[task_id]
        try:
            found = await self._replica.read(lambda r: _touched(r, ids)) if ids else []
        except BaseException:
            self._changed.update(dict.fromkeys(ids))
            raise
        for task_id in ids:
            self._forget(task_id)
        self._due.update(dict.fromkeys(found))

    async def _round(self) -> None:
        batch = list(islice(self._due, ROUND_MAX))
        if not batch:
            return
        states = self._fleet.states
        terms = Terms(self._now_ms(), self._boot_ms(), dict(self._silent), self._patience)
        found = await self._replica.write(lambda tx: seating.sit(tx, batch, states, terms))
        for task_id in batch:
            del self._due[task_id]
            self._forget(task_id)
        for task_id, wanted in found.stuck.items():
            self._needs[task_id] = wanted
            self._stuck.setdefault(wanted, {})[task_id] = None
        self._waits.update(found.waits)
        for task_id, at_ms in found.later.items():
            self._later.put(task_id, at_ms)
        for task_id, date_ms in found.dated.items():
            self._dated.put(task_id, date_ms)

    def _forget(self, task_id: str) -> None:
        """Drop what is noted of a task: it may be over by now."""
        self._later.drop(task_id)
        self._dated.drop(task_id)
        self._waits.pop(task_id, None)
        wanted = self._needs.pop(task_id, None)
        if wanted is None:
            return
        others = self._stuck[wanted]
        del others[task_id]
        if not others:
            del self._stuck[wanted]


def _touched(reading: Reading, ids: list[str]) -> list[str]:
    found: dict[str, None] = {}
    for start in range(0, len(ids), _ASKED):
        some = ids[start : start + _ASKED]
        padded = some + [""] * (_ASKED - len(some))
        found.update((task_id, None) for (task_id,) in reading.query(TOUCHED, *padded))
    return list(found)


def _released(reading: Reading, device: str) -> list[str]:
    return [task_id for (task_id,) in reading.query(RELEASED, device)]
