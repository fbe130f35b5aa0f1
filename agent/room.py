"""What of this device is taken, and the gates that a task which could start must find open.

A gate is a name for a condition that many tasks share: a type's queue, a lock, leave to ask the
hub. Tasks with the same gates stand or go together, so a decision looks at the first of them only;
and whoever asks why a task waits is told of the same gates.
"""

from collections.abc import Iterable, Mapping

import msgspec

from agent import clearance
from agent import limits as rates
from agent.clearance import Asking, Barred, Clear, Clearance, Due, Held
from agent.limits import Limits
from shared.core import instants
from shared.core import waiting as reasons
from shared.core.kinds.task import Task
from shared.core.lifecycle import Status
from shared.core.waiting import Hold, Reason

QUEUE, GROUP, LOCK, ASK = "queue", "group", "lock", "ask"

Gate = tuple[str, ...]  # its kind, then what it is about
Gates = tuple[Gate, ...]


class Room(msgspec.Struct, frozen=True):
    """What this device does at one moment, and how much it may do.

    Attributes:
        capacity: How many tasks may run at once.
        device: Its name: what is said of it is read at the hub as well.
        closed: Why nothing at all starts now, for people; None: something may.
        running: Ids of those that run, the oldest first.
        asking: Ids of those that keep their place while their checks are being asked.
        types: Both by type.
        groups: Which of both keeps each group, by (site, group).
        holders: Which of both holds each local lock.
        cleared: What is known of the checks of tasks that were asked about.
        asked: Tasks that wait for a permit asked for, by their gate ``ask``.
        paused: Paused queues by (site, type), and why.
        limits: Limits by type.
        starts: Recent starts by type, as far as its rate counts, Unix ms.
        ahead_ms: By how much the wall clock is ahead of the boot clock, by which answers of checks
            grow old.
    """

    capacity: int
    running: tuple[str, ...] = ()
    asking: tuple[str, ...] = ()
    types: Mapping[str, tuple[str, ...]] = {}
    groups: Mapping[tuple[str, str], str] = {}
    holders: Mapping[str, str] = {}
    cleared: Mapping[str, Clearance] = {}
    asked: Mapping[Gate, tuple[str, ...]] = {}
    paused: Mapping[tuple[str, str], str | None] = {}
    limits: Mapping[str, Limits] = {}
    starts: Mapping[str, tuple[int, ...]] = {}
    ahead_ms: int = 0
    device: str = "this device"
    closed: str | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing at all may start beside what runs."""
        return len(self.running) + len(self.asking) >= self.capacity


def gates(task: Task) -> Gates:
    """Return the gates that a task must find open when it starts."""
    spec = task.spec
    found: list[Gate] = [(QUEUE, task.site, spec.type)]
    if spec.group is not None:
        found.append((GROUP, task.site, spec.group))
    if spec.locks:
        found += [(LOCK, lock) for lock in spec.local_locks]
    if must_ask(task):
        found.append(ask_gate(task))
    return tuple(found)


def ask_gate(task: Task) -> Gate:
    """Return the gate of those that ask for the same: the hub answers one of them at a time."""
    return (ASK, task.site, task.spec.type, *task.spec.shared_locks)


def needs_permit(task: Task) -> bool:
    """Say whether the next claim of a task may not start yet for want of the hub's permit."""
    return task.spec.asks_hub and not task.is_permitted


def must_ask(task: Task) -> bool:
    """Say whether that permit has not been asked for."""
    return needs_permit(task) and task.start_asked != task.next_claim


def must_check(room: Room, task: Task, now_ms: int) -> bool:
    """Say whether the checks of a task must be asked before it starts: never, or too long ago."""
    if not task.spec.checks:
        return False
    known = room.cleared.get(task.id)
    if known is None or isinstance(known, Due):
        return True
    return isinstance(known, Clear | Held) and known.until_ms + room.ahead_ms <= now_ms


# ------------------------------------------------------------------ what is taken


def with_runs(room: Room, tasks: Iterable[Task]) -> Room:
    """Return the room in which these tasks run, started before now."""
    running: list[str] = []
    types: dict[str, list[str]] = {}
    groups: dict[tuple[str, str], str] = {}
    holders: dict[str, str] = {}
    for task in tasks:
        running.append(task.id)
        types.setdefault(task.spec.type, []).append(task.id)
        if task.spec.group is not None:
            groups[task.site, task.spec.group] = task.id
        holders.update(dict.fromkeys(task.spec.local_locks, task.id))
    return msgspec.structs.replace(
        room,
        running=tuple(running),
        types={type_: tuple(ids) for type_, ids in types.items()},
        groups=groups,
        holders=holders,
    )


def with_run(room: Room, task: Task, now_ms: int) -> Room:
    """Return the room in which one more task runs, started now."""
    type_ = task.spec.type
    starts = room.starts
    if room.limits.get(type_, rates.NONE).rate is not None:
        starts = {**starts, type_: (*starts.get(type_, ()), now_ms)}
    return msgspec.structs.replace(
        room,
        running=(*room.running, task.id),
        types={**room.types, type_: (*room.types.get(type_, ()), task.id)},
        groups=_with_group(room.groups, task),
        holders=_with_locks(room.holders, task),
        starts=starts,
    )


def with_asking(room: Room, task: Task) -> Room:
    """Return the room in which a task keeps a place, as its checks are being asked.

    Else whoever asks nobody would take each place that comes free before the answer does.
    """
    type_ = task.spec.type
    return msgspec.structs.replace(
        room,
        asking=(*room.asking, task.id),
        types={**room.types, type_: (*room.types.get(type_, ()), task.id)},
        groups=_with_group(room.groups, task),
        holders=_with_locks(room.holders, task),
        cleared={**room.cleared, task.id: clearance.asking(room.cleared.get(task.id))},
    )


def _with_group(groups: Mapping[tuple[str, str], str], task: Task) -> Mapping[tuple[str, str], str]:
    """Return who keeps each group from the rest of it while this task runs, too."""
    group = task.spec.group
    return groups if group is None else {**groups, (task.site, group): task.id}


def _with_locks(holders: Mapping[str, str], task: Task) -> Mapping[str, str]:
    """Return who holds each lock while this task runs, too."""
    locks = task.spec.locks and task.spec.local_locks
    return {**holders, **dict.fromkeys(locks, task.id)} if locks else holders


def with_request(room: Room, task: Task) -> Room:
    """Return the room in which a task has asked for its permit as well."""
    gate = ask_gate(task)
    asked = {**room.asked, gate: (*room.asked.get(gate, ()), task.id)}
    return msgspec.structs.replace(room, asked=asked)


# ------------------------------------------------------------------ what is in the way


def holds(room: Room, gate: Gate, now_ms: int, own: str = "") -> tuple[Hold, ...]:
    """Return what keeps a gate shut; nothing: it is open.

    Args:
        room: What is taken.
        gate: The gate.
        now_ms: Wall clock, Unix ms.
        own: A task that is not in its own way, though it keeps a place while its checks are asked.
    """
    kind, *about = gate
    if kind == LOCK:
        return _locked(room, about[0], own)
    if kind == GROUP:
        return _grouped(room, about[0], about[1], own)
    if kind == ASK:
        return _many_ask(room, gate)
    return _queue(room, about[0], about[1], now_ms, own)


def is_open(room: Room, now_ms: int, gate: Gate) -> bool:
    """Say whether nothing keeps a gate shut."""
    return not holds(room, gate, now_ms)


def all_holds(room: Room, task: Task, now_ms: int, *, but: str | None = None) -> tuple[Hold, ...]:
    """Return what keeps any of the gates of a task shut, but those of one kind."""
    found: list[Hold] = []
    for gate in gates(task):
        if gate[0] != but:
            found += holds(room, gate, now_ms, task.id)
    return tuple(found)


def full(room: Room) -> Hold:
    """Return what keeps everything from starting in a full room."""
    if room.asking:
        text = f"{room.asking[0]} is before it and asks its checks"
        return _busy(text, room.asking[0])
    count = len(room.running)
    what = "1 task runs" if count == 1 else f"{count} tasks run"
    text = f"{what} at {room.device}, at most {room.capacity} may"
    return _busy(text, next(iter(room.running), None))


def unchecked(room: Room, task: Task, now_ms: int) -> tuple[Hold, ...]:
    """Return what its checks keep a task for."""
    known = room.cleared.get(task.id) if task.spec.checks else None
    match known:
        case Asking(()):
            names = ", ".join(check.name for check in task.spec.checks)
            return (Hold(Status.BLOCKED, Reason("check", None, f"asks {names}")),)
        case Asking(reasons):
            return tuple(Hold(Status.BLOCKED, reason) for reason in reasons)
        case Held(until_ms, reasons) if until_ms + room.ahead_ms > now_ms:
            wake_ms = until_ms + room.ahead_ms
            return tuple(Hold(Status.BLOCKED, reason, wake_ms) for reason in reasons)
        case Barred(message):
            return (Hold(Status.BLOCKED, Reason("check", None, message)),)
        case _:
            return ()


def said_before(room: Room, task: Task) -> tuple[Hold, ...]:
    """Return what third parties said last of a task that is about to ask them again.

    It keeps the task no longer, but it is what people should see until they say something else: a
    task that is out of stock is not about to start each time that it asks.
    """
    said = clearance.last_said(room.cleared.get(task.id)) if task.spec.checks else ()
    return tuple(Hold(Status.BLOCKED, reason) for reason in said)


def without_permit(task: Task) -> Hold:
    """Return what keeps a task whose permit is missing."""
    locks = task.spec.shared_locks
    if not locks:
        return Hold(Status.BLOCKED, Reason("device", None, "waits for the hub's permit"))
    names = ", ".join(locks)
    return Hold(Status.BLOCKED, Reason("lock", None, f"waits for the hub to grant {names}"))


def _locked(room: Room, lock: str, own: str) -> tuple[Hold, ...]:
    holder = room.holders.get(lock)
    if holder is None or holder == own:
        return ()
    return (Hold(Status.BLOCKED, Reason("lock", holder, f"{holder} holds {lock}")),)


def _grouped(room: Room, site: str, group: str, own: str) -> tuple[Hold, ...]:
    """One at a time, also where one that was submitted earlier comes while a later one runs."""
    other = room.groups.get((site, group))
    if other is None or other == own:
        return ()
    return (Hold(Status.BLOCKED, Reason("group", other, f"{other} of group {group} runs")),)


def _many_ask(room: Room, gate: Gate) -> tuple[Hold, ...]:
    """As many ask as could run: more would have the hub reserve for tasks that have no room."""
    asking = room.asked.get(gate, ())
    if len(asking) < max(1, room.capacity):
        return ()
    return (_busy(f"{asking[0]} is before it and waits for the hub's permit", asking[0]),)


def _queue(room: Room, site: str, type_: str, now_ms: int, own: str) -> tuple[Hold, ...]:
    found: list[Hold] = []
    if (site, type_) in room.paused:
        found.append(Hold(Status.QUEUED, reasons.paused(type_, room.paused[site, type_])))
    allowed = room.limits.get(type_, rates.NONE)
    if allowed.concurrency is not None:
        running = [task_id for task_id in room.types.get(type_, ()) if task_id != own]
        if len(running) >= allowed.concurrency:
            run = "runs" if len(running) == 1 else "run"
            text = f"{len(running)} of type {type_} {run} at {room.device}"
            text += f", at most {allowed.concurrency} may"
            found.append(_busy(text, running[0]))
    if allowed.rate is not None:
        free_ms = rates.free_ms(allowed.rate, room.starts.get(type_, ()))
        if free_ms is not None and free_ms > now_ms:
            rate = allowed.rate
            text = f"{rate.count} of type {type_} may start in {rate.per_s:g} s"
            found.append(_busy(f"{text}; the next at {instants.text(free_ms)}", None, free_ms))
    return tuple(found)


def _busy(message: str, ref: str | None, wake_ms: int | None = None) -> Hold:
    return Hold(Status.QUEUED, Reason("busy", ref, message), wake_ms)
