"""Which device gets a task: pure, and it says why.

A device fits by site, type and capabilities, and must be connected: what is allocated to one that
is away waits for it, however long, as only a person moves it elsewhere (``keep``). Among those
that fit goes first the one with the fewest unfinished tasks; ids break ties, so that one state has
one answer.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Edge, On
from shared.core.lifecycle import ENDED, Status

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
    """

    id: str
    site: str
    incarnation: str
    types: frozenset[str]
    capabilities: frozenset[str]
    connected: bool
    last_seen_ms: int


class Need(msgspec.Struct, frozen=True):
    """What a task needs of a device: tasks of equal need share one answer."""

    site: str
    type: str
    requires: frozenset[str]
    device: str | None


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


def fits(wanted: Need, device: DeviceState) -> bool:
    """Say whether a device can take such a task now."""
    return _misfit(wanted, device) is None and device.connected


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
    return pick(fitting(wanted, devices), loads) or none_fits(wanted, devices)


def fitting(wanted: Need, devices: Iterable[DeviceState]) -> tuple[DeviceState, ...]:
    """Return the devices that can take such a task now."""
    return tuple(device for device in devices if fits(wanted, device))


def pick(candidates: Sequence[DeviceState], loads: Mapping[str, int]) -> Choice | None:
    """Return the least loaded of devices that all fit, None of none."""
    if not candidates:
        return None
    chosen = min(candidates, key=lambda device: (loads.get(device.id, 0), device.id))
    terms = {"load": float(loads.get(chosen.id, 0)), "fitting": float(len(candidates))}
    return Choice(chosen, terms)


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
    if len(able) == 1:
        return NoDevice(f"{able[0].id} is away", able[0].id)
    return NoDevice(f"all {len(able)} devices that could run it are away")


def _pinned(wanted: Need, device: DeviceState | None) -> NoDevice:
    if device is None:
        return NoDevice(f"{wanted.device} has never connected to this hub", wanted.device)
    return NoDevice(_misfit(wanted, device) or f"{device.id} is away", device.id)


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
