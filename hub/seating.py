"""One round of sitting, inside a transaction: each task as it is by then, and what the hub does."""

import logging
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hub import allocation
from hub.allocation import Choice, DeviceState, Need
from shared.core import record as records
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Allocation, Progress, Seat, Task
from shared.core.lifecycle import Signal, Status, move
from shared.core.record import Record
from shared.core.waiting import why
from shared.errors import Rejected
from shared.store.transaction import Transaction

ACTOR = "hub"

LOAD = """SELECT d.incarnation, (SELECT count(*) FROM tasks t
        WHERE t.device = d.id AND t.status IN ('waiting', 'running', 'cancelling'))
    FROM devices d WHERE d.id = $1"""

log = logging.getLogger(__name__)


def sit(
    tx: Transaction, batch: Iterable[str], devices: Mapping[str, DeviceState], now_ms: int
) -> dict[str, Need]:
    """Do what is due for unseated tasks: allocate, cancel, or leave them waiting.

    Args:
        tx: The transaction.
        batch: Ids, of which some may be over or seated by now.
        devices: The fleet.
        now_ms: Wall clock, Unix ms.

    Returns:
        The need of each task that is ready, but that no device can take.
    """
    room = _Room(tx, devices)
    stuck: dict[str, Need] = {}
    for task_id in batch:
        try:
            wanted = _sit_for(tx, task_id, room, now_ms)
        except (Rejected, msgspec.MsgspecError):
            log.exception("task %s cannot be allocated; looked at again when it changes", task_id)
            continue
        if wanted is not None:
            stuck[task_id] = wanted
    return stuck


def write_status(tx: Transaction, task: Task, progress: Progress) -> None:
    """Write a move that the hub makes while it sits."""
    _append(tx, task, "task.status", progress)


def write_seat(
    tx: Transaction, task: Task, device: str, incarnation: str, terms: dict[str, float]
) -> None:
    """Give a task to a device under the next allocation."""
    # From 1: 0 is what an agent gives itself, and must never outrank or equal the hub's.
    n = max(tasks.rank(task.allocation), 0) + 1
    given = Allocation(tx.node.epoch, n, device, incarnation)
    holders = tuple(dict.fromkeys((*task.holders, device)))
    _append(tx, task, "task.allocated", Seat(given, holders, terms))


class _Room:
    """Who fits and how busy they are; asked once per need and device in a round."""

    def __init__(self, tx: Transaction, devices: Mapping[str, DeviceState]) -> None:
        self._tx = tx
        self._devices = devices
        self._fitting: dict[Need, tuple[DeviceState, ...]] = {}
        self._current: dict[str, bool] = {}
        self._loads: dict[str, int] = {}

    def choose(self, wanted: Need, only: str | None = None) -> Choice | None:
        """Return the device for such a task and count it there; ``only``: that one or none."""
        if wanted not in self._fitting:
            fitting = allocation.fitting(wanted, self._devices.values())
            self._fitting[wanted] = tuple(device for device in fitting if self._is_current(device))
        candidates: Sequence[DeviceState] = self._fitting[wanted]
        if only is not None:
            candidates = [device for device in candidates if device.id == only]
        choice = allocation.pick(candidates, self._loads)
        if choice is not None:
            self._loads[choice.device.id] += 1
        return choice

    def _is_current(self, device: DeviceState) -> bool:
        """Whether the device still writes the journal by which the fleet knows it.

        Given to a former one, a task would wait for ever: ``returned.settle`` has been there.
        """
        if device.id not in self._current:
            rows = self._tx.query(LOAD, device.id)
            self._current[device.id] = bool(rows) and rows[0][0] == device.incarnation
            self._loads[device.id] = rows[0][1] if rows else 0
        return self._current[device.id]


def _sit_for(tx: Transaction, task_id: str, room: _Room, now_ms: int) -> Need | None:
    """Do what is due for one task; return its need if no device can take it."""
    record = tx.record("task", task_id)
    task = tasks.read(record)
    if task is None or task.status is not Status.WAITING or task.allocation is not None:
        return None
    if task.cancel_asked:
        _cancel(tx, task, f"cancelled by {_who_asked(record)}")
        return None
    waiting = why(task, now_ms, lambda other: _status(tx, other))
    if waiting is not None and waiting.doomed is not None:
        _cancel(tx, task, waiting.doomed)
        return None
    wanted = allocation.need(task)
    if waiting is not None and waiting.status is Status.BLOCKED:
        home = allocation.home(task, lambda other: tasks.read(tx.record("task", other)))
        choice = room.choose(wanted, home) if home is not None else None
        if choice is not None:
            write_seat(tx, task, choice.device.id, choice.device.incarnation, choice.terms)
        return None  # else its predecessors bring it up again
    choice = room.choose(wanted)  # also before its not_before: that is the device's business
    if choice is None:
        return wanted
    write_seat(tx, task, choice.device.id, choice.device.incarnation, choice.terms)
    return None


def _status(tx: Transaction, task_id: str) -> Status | None:
    task = tasks.read(tx.record("task", task_id))
    return task.status if task else None


def _who_asked(record: Record) -> str:
    request = records.latest(record.register(tasks.CANCEL))
    return request.header.actor if request else ACTOR


def _cancel(tx: Transaction, task: Task, reason: str) -> None:
    write_status(tx, task, Progress(move(task.status, Signal.CANCEL), reason=reason))


def _append(tx: Transaction, task: Task, kind: str, body: Progress | Seat) -> None:
    tx.append(
        site=task.site,
        kind=kind,
        subject=task.id,
        register=tasks.REGISTER_OF[kind],
        body=body,
        actor=ACTOR,
    )
