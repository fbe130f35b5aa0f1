"""Drivers to records and back: what machines report, and what their lights show.

A driver's observation becomes an event of the machines' register once ``flapping`` says so, and is
acknowledged when that is durable. The state that the record shows drives whatever can show it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from agent.dispatcher import RETRY_S
from agent.pause import WaitFor, wait_for
from hardware import flapping
from hardware.driver import Driver, Observation
from shared.core.kinds import equipment
from shared.core.kinds.equipment import MACHINE, TEXT_MAX, Created, Report, State
from shared.core.record import Record, latest
from shared.core.register import Register
from shared.core.vector import Vector
from shared.errors import Busy, Rejected, StoreError
from shared.replica import Replica
from shared.store.transaction import Change, Reading, Transaction

HEALTH_S = 1.0  # a cable with a loose contact is told of no more often
OFFERED_MAX = 256  # observations that wait for one driver's dwell; a driver offers at most 64

log = logging.getLogger(__name__)


class Wired(msgspec.Struct, frozen=True):
    """A driver and the equipment that it belongs to."""

    driver: Driver
    equipment: str
    dwell_s: float


class Machines:
    """Runs all drivers of this device. ``run`` until cancelled."""

    def __init__(
        self,
        replica: Replica,
        wired: Sequence[Wired],
        *,
        site: str,
        boot_ms: Callable[[], int],
        wait: WaitFor = wait_for,
    ) -> None:
        self._replica = replica
        self._wired = tuple(wired)
        self._wait = wait
        self._reporters = {
            one.driver.id: _Reporter(replica, one, site=site, boot_ms=boot_ms, wait=wait)
            for one in wired
        }
        self._changed = asyncio.Event()
        self._health_changed = asyncio.Event()
        self._connections: frozenset[tuple[str, str]] = frozenset()
        self._dirty = {one.equipment for one in wired}

    def is_stale(self, record: Record) -> bool:
        """Say whether the shown report is of a machine here that is not reached at present."""
        shown = equipment.shown(record)
        if shown is None or shown[0].header.register != MACHINE:
            return False
        actor = shown[0].header.actor
        return any(
            one.driver.id == actor and not one.driver.health.connected
            for one in self._wired
            if one.equipment == record.subject
        )

    async def run(self) -> None:
        """Have every driver report and show, until cancelled."""
        if not self._wired:
            return
        self._changed.set()
        self._health_changed.set()
        with self._replica.subscribe(self._on_changes):
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell_health(), name="drivers' health")
                for one in self._wired:
                    one.driver.watch_health(self._health_changed.set)
                    reporter = self._reporters[one.driver.id]
                    group.create_task(reporter.run(), name=f"{one.driver.id} reports")
                    group.create_task(self._serve(one, reporter), name=f"{one.driver.id} driver")
                while True:
                    await self._changed.wait()
                    self._changed.clear()
                    await self._show()

    async def _serve(self, one: Wired, reporter: "_Reporter") -> None:
        """Keep a driver running: a driver's bug must not end the others (promise 6)."""
        while True:
            try:
                await one.driver.run(reporter)
                log.error("driver %s returned; it runs again", one.driver.id)
            except Exception:
                log.exception("driver %s failed; it runs again", one.driver.id)
            await self._wait(asyncio.Event(), RETRY_S)

    def _on_changes(self, changes: list[Change]) -> None:
        ours = {one.equipment for one in self._wired}
        changed = {c.subject for c in changes if c.kind == "equipment" and c.subject in ours}
        if changed:
            self._dirty |= changed
            self._changed.set()

    async def _tell_health(self) -> None:
        """Have subscribers look again at equipment whose driver was lost or is back."""
        while True:
            await self._health_changed.wait()
            self._health_changed.clear()
            now = self._connected()
            flipped = {subject for _, subject in self._connections ^ now}
            try:
                if flipped:
                    await self._replica.write(partial(_announce, subjects=sorted(flipped)))
                self._connections = now
            except (StoreError, Busy) as error:
                log.warning("nobody is told of a driver's health yet: %s", error)
                self._health_changed.set()
            await self._wait(asyncio.Event(), HEALTH_S)

    def _connected(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (one.driver.id, one.equipment) for one in self._wired if one.driver.health.connected
        )

    async def _show(self) -> None:
        dirty, self._dirty = self._dirty, set()
        if not dirty:
            return
        states = await self._replica.read(partial(_states, subjects=sorted(dirty)))
        for one in self._wired:
            if one.equipment not in states:
                continue
            state, machine = states[one.equipment]
            if machine != one.driver.id:
                self._reporters[one.driver.id].forget()
            try:
                one.driver.desire(state)
            except Exception:  # promise 6
                log.exception("driver %s cannot be told what to show", one.driver.id)


class _Reporter:
    """Turns one driver's observations into events; the sink that the driver is given."""

    def __init__(
        self,
        replica: Replica,
        wired: Wired,
        *,
        site: str,
        boot_ms: Callable[[], int],
        wait: WaitFor,
    ) -> None:
        self._replica = replica
        self._wired = wired
        self._site = site
        self._boot_ms = boot_ms
        self._wait = wait
        self._dwell = flapping.Dwell(dwell_ms=round(wired.dwell_s * 1000))
        self._offered: deque[Observation] = deque()
        self._waiting: list[asyncio.Future[None]] = []
        self._stirred = asyncio.Event()
        self._wake_ms: int | None = None

    async def __call__(self, observation: Observation) -> None:
        """Return once the observation is durable, or needs no event."""
        if len(self._waiting) >= OFFERED_MAX:
            raise Busy(f"{OFFERED_MAX} observations of {self._wired.driver.id} wait already")
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offered.append(observation)
        self._waiting.append(stored)
        self._stirred.set()
        await stored

    def forget(self) -> None:
        """Take the next observation as a change: somebody else has spoken since our last one.

        A worker who presses red again after a colleague settled on green means red.
        """
        self._dwell, _ = flapping.receive(self._dwell, flapping.NotStored(), self._boot_ms())

    async def run(self) -> None:
        """Write what is due, until cancelled."""
        await self._introduce()
        while True:
            pause_s = None
            if self._wake_ms is not None:
                pause_s = max(0.0, (self._wake_ms - self._boot_ms()) / 1000)
            await self._wait(self._stirred, pause_s)
            self._stirred.clear()
            try:
                await self._take()
            except Exception as error:  # the driver hears of it, and offers it again
                log.warning("a report of %s is not stored", self._wired.driver.id, exc_info=True)
                self.forget()
                self._answer(error)
            else:
                if self._dwell.settled and not self._offered:
                    self._answer(None)

    async def _introduce(self) -> None:
        """Have the equipment exist, so that people see it before its first report."""
        while True:
            try:
                return await self._store(_ensure)
            except (StoreError, Busy) as error:
                log.warning("%s waits for the store: %s", self._wired.driver.id, error)
                await self._wait(asyncio.Event(), RETRY_S)
            except Rejected as error:
                log.error("driver %s cannot report: %s", self._wired.driver.id, error)
                return None

    async def _take(self) -> None:
        """Feed what was offered, or that time has passed, and do what follows."""
        self._wake_ms = None
        inputs: list[flapping.Input] = [flapping.Observed(seen) for seen in self._offered]
        self._offered.clear()
        for received in inputs or [flapping.Woken()]:
            self._dwell, effects = flapping.receive(self._dwell, received, self._boot_ms())
            for effect in effects:
                await self._carry_out(effect)

    async def _carry_out(self, effect: flapping.Effect) -> None:
        match effect:
            case flapping.Report(seen):
                await self._store(partial(_report, report=_body(seen.state, seen.reason, None)))
            case flapping.Flapping(seen, changes):
                note = f"flapping: {changes} changes since the last report"
                report = _body(seen.state, seen.reason or "flapping", note)
                await self._store(partial(_report, report=report))
            case flapping.Wake(at_ms):
                self._wake_ms = at_ms

    async def _store(self, change: Callable[..., None]) -> None:
        actor, subject, site = self._wired.driver.id, self._wired.equipment, self._site
        await self._replica.write(lambda tx: change(tx, subject=subject, site=site, actor=actor))

    def _answer(self, error: Exception | None) -> None:
        waiting, self._waiting = self._waiting, []
        for stored in waiting:
            if stored.done():  # the driver was cancelled
                continue
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)


def _announce(tx: Transaction, *, subjects: Sequence[str]) -> None:
    for subject in subjects:
        tx.announce("equipment", subject)


def _states(
    reading: Reading, *, subjects: Sequence[str]
) -> dict[str, tuple[State | None, str | None]]:
    """Return of each the state to show, and which driver or person spoke for the machine last."""
    states: dict[str, tuple[State | None, str | None]] = {}
    for subject in subjects:
        record = reading.record("equipment", subject)
        shown = equipment.shown(record) if equipment.exists(record) else None
        last = latest(record.register(MACHINE))
        states[subject] = (shown[1].state if shown else None, last.header.actor if last else None)
    return states


def _body(state: State, reason: str | None, note: str | None) -> Report:
    return Report(state, reason[:TEXT_MAX] if reason else None, note)


def _ensure(tx: Transaction, *, subject: str, site: str, actor: str) -> None:
    """Create the equipment if nobody here has heard of it; a retired one stays retired."""
    if tx.record("equipment", subject).register("created").siblings:
        return
    tx.append(
        site=site,
        kind="equipment.created",
        subject=subject,
        register="created",
        body=Created(),
        actor=actor,
    )


def _report(tx: Transaction, *, subject: str, site: str, actor: str, report: Report) -> None:
    """Append a machine's report, unless it says what this machine said last."""
    record = tx.record("equipment", subject)
    register = record.register(MACHINE)
    if _repeats(register, actor, report):
        return
    seen = None
    if equipment.in_conflict(record, MACHINE):
        seen = _own_part(register, tx.node.writes.get(site, ""), actor)
    tx.append(
        site=site,
        kind="equipment.state",
        subject=subject,
        register=MACHINE,
        body=report,
        actor=actor,
        seen=seen,
    )


def _own_part(register: Register, origin: str, actor: str) -> Vector:
    """Return what a report may replace in a conflict: this driver's own earlier one.

    What that is in conflict with stays beside the new one: only a person ends a conflict.
    """
    here = [e.header for e in register.siblings if e.header.origin == origin]
    others = [header.seq for header in here if header.actor != actor]
    mine = [h.seq for h in here if h.actor == actor and all(h.seq < other for other in others)]
    return {origin: max(mine)} if mine else {}


def _repeats(register: Register, actor: str, report: Report) -> bool:
    """Say whether a report is what this machine said last, undisputed (the agent restarted)."""
    if len(register.siblings) != 1 or register.parked:
        return False
    (last,) = register.siblings
    if last.header.actor != actor:
        return False
    return msgspec.msgpack.decode(last.body_bytes, type=Report) == report
