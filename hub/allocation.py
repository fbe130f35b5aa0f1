"""Which device gets a task: pure, and it says why.

A device fits by site, type and capabilities, must be connected, and must have the battery for a
task and the way to its charger. Among those that fit goes first the one that costs least: by its
unfinished tasks, its zone, its way and its battery. Ids break ties, so that one state has one
answer. The terms are stored with the allocation: "why this robot" is answered for ever.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, TypeGuard

import msgspec

from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Edge, On
from shared.core.lifecycle import ENDED, Status

# What a choice costs, in unfinished tasks: being elsewhere is worth as much as a queue of five.
ZONE_COST = 5.0
METRE_COST = 0.02
BATTERY_COST = 0.5  # of an empty one
NUMBER_MAX = 1e9  # metres; larger coordinates are none
FAR_M = 500.0  # a device that does not say where it is counts as so far away

Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
GOING_ON = frozenset({Status.WAITING, Status.RUNNING, Status.CANCELLING})


class DeviceState(msgspec.Struct, frozen=True):
    """A device as the hub knows it.

    Attributes:
        id: Its name.
        site: Its one site.
        incarnation: Of the journal with which it last said hello.
        types: Task types that it runs; none: a tablet.
        capabilities: What a task may require.
        connected: Whether a session with it is open.
        last_seen_ms: When it was last heard, Unix ms.
        zone: Where it is, by name; None: it does not say.
        battery_pct: How full its battery is; None: it has none, or does not say.
        battery_min_pct: Below this it gets nothing: the floor, and the way to its charger.
        x_m: Where it is, metres; None: it does not say.
        y_m: The same.
        unready: Why it gets nothing at present though it is here, for people; None: it may.
    """

    id: str
    site: str
    incarnation: str
    types: frozenset[str]
    capabilities: frozenset[str]
    connected: bool
    last_seen_ms: int
    zone: str | None = None
    battery_pct: float | None = None
    battery_min_pct: float = 0
    x_m: float | None = None
    y_m: float | None = None
    unready: str | None = None


class Battery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``[dispatch.battery]``: below what charge a device gets nothing.

    Attributes:
        floor_pct: Kept in reserve.
        pct_per_m: What a metre of the way to the charger takes.
    """

    floor_pct: Percent = 15
    pct_per_m: Percent = 0.02

    def min_pct(self, charger_m: float | None) -> float:
        """Return the least charge with which a device still gets a task."""
        return self.floor_pct + self.pct_per_m * (charger_m or 0)


BATTERY = Battery()


class Goal(msgspec.Struct, frozen=True):
    """Where a task is to be done, as its payload says: ``zone``, ``at: {"x", "y"}`` in metres."""

    zone: str | None = None
    at: tuple[float, float] | None = None


ANYWHERE = Goal()


class Need(msgspec.Struct, frozen=True):
    """What a task needs of a device: tasks of equal need share one answer.

    Attributes:
        site: Its site.
        type: What it runs.
        requires: Capabilities.
        device: The one device that may have it, or None.
        but: A device that may not have it at present, or None.
    """

    site: str
    type: str
    requires: frozenset[str]
    device: str | None
    but: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """The device that gets a task, and the terms of the choice, for people."""

    device: DeviceState
    terms: dict[str, float]


class NoDevice(msgspec.Struct, frozen=True):
    """Why no device can take a task now.

    Attributes:
        reason: A sentence for people.
        device: The one device that it is about, or None.
    """

    reason: str
    device: str | None = None


def need(task: Task) -> Need:
    """Return what a task needs of a device."""
    spec = task.spec
    return Need(task.site, spec.type, frozenset(spec.requires), spec.device)


def goal(task: Task) -> Goal:
    """Return where a task is to be done; whatever its payload says otherwise is its handler's."""
    zone, at = task.spec.payload.get("zone"), task.spec.payload.get("at")
    point = None
    if isinstance(at, dict):
        x, y = at.get("x"), at.get("y")
        if _is_number(x) and _is_number(y):
            point = (float(x), float(y))
    return Goal(zone if isinstance(zone, str) else None, point)


def _is_number(value: object) -> TypeGuard[int | float]:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < NUMBER_MAX
    )


def fits(wanted: Need, device: DeviceState) -> bool:
    """Say whether a device can take such a task now."""
    return unfit(wanted, device) is None


def choose(
    task: Task, devices: Sequence[DeviceState], loads: Mapping[str, int]
) -> Choice | NoDevice:
    """Return the device that gets a task.

    Args:
        task: One that nobody has.
        devices: All that the hub knows.
        loads: Unfinished tasks that each device has; missing: none.
    """
    wanted = need(task)
    return pick(fitting(wanted, devices), loads, goal(task)) or none_fits(wanted, devices)


def fitting(wanted: Need, devices: Iterable[DeviceState]) -> tuple[DeviceState, ...]:
    """Return the devices that can take such a task now."""
    return tuple(device for device in devices if fits(wanted, device))


def pick(
    candidates: Sequence[DeviceState], loads: Mapping[str, int], where: Goal = ANYWHERE
) -> Choice | None:
    """Return the device that costs least, of some that all fit; None of none."""
    if not candidates:
        return None
    terms = {d.id: cost_terms(d, loads.get(d.id, 0), where) for d in candidates}
    chosen = min(candidates, key=lambda d: (terms[d.id]["cost"], d.id))
    return Choice(chosen, terms[chosen.id] | {"fitting": float(len(candidates))})


def cost_terms(device: DeviceState, load: int, where: Goal) -> dict[str, float]:
    """Return what giving a task to a device costs, term by term, and the sum as ``cost``."""
    terms = {"load": float(load)}
    cost = float(load)
    if where.zone is not None:
        terms["zone"] = 0.0 if device.zone == where.zone else 1.0
        cost += ZONE_COST * terms["zone"]
    if where.at is not None:
        known_m = _distance_m(device, where.at)
        metres = FAR_M if known_m is None else round(known_m, 1)
        # A term of its own: people must not be shown a way that nobody knows.
        terms["distance_assumed_m" if known_m is None else "distance_m"] = metres
        cost += METRE_COST * metres
    if device.battery_pct is not None:
        terms["battery_pct"] = device.battery_pct
        cost += BATTERY_COST * (1 - device.battery_pct / 100)
    return terms | {"cost": round(cost, 6)}


def _distance_m(device: DeviceState, at: tuple[float, float]) -> float | None:
    if device.x_m is None or device.y_m is None:
        return None
    return math.hypot(device.x_m - at[0], device.y_m - at[1])


def home(task: Task, task_of: Callable[[str], Task | None]) -> str | None:
    """Return the one device that has all the predecessors that a task still waits for.

    Only that device can prove the edges without the hub. An edge that will not open by itself (its
    predecessor ended, or nobody knows how) is for the hub to watch: then None.
    """
    holders: set[str | None] = set()
    for edge in task.spec.after:
        before = task_of(edge.task)
        if before is None:
            return None
        if is_open(edge, before.status):
            continue
        going_on = before.status in GOING_ON
        holders.add(before.allocation.device if going_on and before.allocation else None)
    return holders.pop() if len(holders) == 1 else None


def is_open(edge: Edge, status: Status) -> bool:
    """Say whether a predecessor has got as far as an edge wants."""
    return status is Status.SUCCEEDED or (edge.on is On.END and status in ENDED)


def none_fits(wanted: Need, devices: Sequence[DeviceState]) -> NoDevice:
    """Return why no device can take such a task now; nearest to a remedy first."""
    if wanted.device is not None:
        return _pinned(wanted, next((d for d in devices if d.id == wanted.device), None))
    local = [device for device in devices if device.site == wanted.site]
    runs = [device for device in local if wanted.type in device.types]
    if not runs:
        return NoDevice(f"no device of {wanted.site} runs tasks of type {wanted.type}")
    able = [device for device in runs if wanted.requires <= device.capabilities]
    if not able:
        have = ", ".join(sorted(wanted.requires))
        return NoDevice(f"no device that runs tasks of type {wanted.type} has {have}")
    reasons = {device.id: unfit(wanted, device) or "" for device in able}
    if len(able) == 1:
        return NoDevice(reasons[able[0].id], able[0].id)
    if all(reason == _away(device) for device, reason in zip(able, reasons.values(), strict=True)):
        return NoDevice(f"all {len(able)} devices that could run it are away")
    return NoDevice(f"none of {len(able)} can take it now: " + "; ".join(sorted(reasons.values())))


def unfit(wanted: Need, device: DeviceState) -> str | None:
    """Return why a device cannot take such a task now, or None."""
    misfit = _misfit(wanted, device)
    if misfit is not None:
        return misfit
    if not device.connected:
        return _away(device)
    if device.unready is not None:
        return f"{device.id} {device.unready}"
    if device.id == wanted.but:
        return f"{device.id} has given it back"
    if device.battery_pct is not None and device.battery_pct < device.battery_min_pct:
        return (
            f"{device.id} has {device.battery_pct:.0f} % battery and needs "
            f"{device.battery_min_pct:.0f} % to reach its charger"
        )
    return None


def _away(device: DeviceState) -> str:
    return f"{device.id} is away"


def _pinned(wanted: Need, device: DeviceState | None) -> NoDevice:
    if device is None:
        return NoDevice(f"{wanted.device} has never connected to this hub", wanted.device)
    return NoDevice(unfit(wanted, device) or f"{device.id} can take it", device.id)


def _misfit(wanted: Need, device: DeviceState) -> str | None:
    """Return why a device could not take such a task even if it were here."""
    if wanted.device not in (None, device.id):
        return f"the task is for {wanted.device}"
    if device.site != wanted.site:
        return f"{device.id} is not a device of {wanted.site}"
    if wanted.type not in device.types:
        return f"{device.id} does not run tasks of type {wanted.type}"
    lacking = wanted.requires - device.capabilities
    if lacking:
        return f"{device.id} does not have {', '.join(sorted(lacking))}"
    return None
