"""What the tasks of one round share: the clock, the devices and how busy they are, the findings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hub import allocation
from hub.allocation import Choice, DeviceState, Goal, Need, NoDevice
from hub.release import Patience
from shared.core.waiting import Waiting
from shared.store.transaction import Transaction

LOAD = """SELECT d.incarnation, (SELECT count(*) FROM tasks t
        WHERE t.device = d.id AND t.status IN ('waiting', 'running', 'cancelling'))
    FROM devices d WHERE d.id = $1"""


@dataclass(frozen=True)
class Round:
    """What a round leaves.

    Attributes:
        stuck: The need of each task that is ready, but that no device can take.
        waits: Why tasks wait for something that neither their record nor a device explains.
        later: When to look at tasks again though nothing changes, boot clock, ms.
        dated: The same by the wall clock, Unix ms: what a record says in dates is due by the clock
            that shows them, also after somebody has set it.
    """

    stuck: dict[str, Need] = field(default_factory=dict)
    waits: dict[str, Waiting] = field(default_factory=dict)
    later: dict[str, int] = field(default_factory=dict)
    dated: dict[str, int] = field(default_factory=dict)

    def look_again(self, task_id: str, at_ms: int) -> None:
        """Have a task looked at again at an instant by the boot clock, if not sooner."""
        self.later[task_id] = min(at_ms, self.later.get(task_id, at_ms))

    def look_at(self, task_id: str, date_ms: int) -> None:
        """Have a task looked at again at an instant by the wall clock, if not sooner."""
        self.dated[task_id] = min(date_ms, self.dated.get(task_id, date_ms))


class Terms(msgspec.Struct, frozen=True):
    """What a round goes by.

    Attributes:
        now_ms: Wall clock, Unix ms.
        boot_ms: Boot clock: silence is measured by a clock that nobody sets.
        silent: Since when each device that is away has been, boot clock, ms.
        patience: How long the hub waits for silent devices.
    """

    now_ms: int
    boot_ms: int = 0
    silent: dict[str, int] = {}
    patience: Patience = Patience()


def choose_other(
    tx: Transaction, wanted: Need, devices: Mapping[str, DeviceState], *, but: str, goal: Goal
) -> Choice | NoDevice:
    """Return another device that can take such a task now, or why none can."""
    wanted = msgspec.structs.replace(wanted, but=but)
    choice = Room(tx, devices).choose(wanted, goal)
    return choice or allocation.none_fits(wanted, tuple(devices.values()))


class Room:
    """Who fits and how busy they are; asked once per need and device in a round."""

    def __init__(self, tx: Transaction, devices: Mapping[str, DeviceState]) -> None:
        self._tx = tx
        self._devices = devices
        self._fitting: dict[Need, tuple[DeviceState, ...]] = {}
        self._current: dict[str, bool] = {}
        self._loads: dict[str, int] = {}

    def choose(self, wanted: Need, goal: Goal, only: str | None = None) -> Choice | None:
        """Return the device for such a task and count it there; ``only``: that one or none."""
        if wanted not in self._fitting:
            fitting = allocation.fitting(wanted, self._devices.values())
            self._fitting[wanted] = tuple(device for device in fitting if self._is_current(device))
        candidates: Sequence[DeviceState] = self._fitting[wanted]
        if only is not None:
            candidates = [device for device in candidates if device.id == only]
        choice = allocation.pick(candidates, self._loads, goal)
        if choice is not None:
            self._loads[choice.device.id] += 1
        return choice

    def device(self, name: str) -> DeviceState | None:
        """Return a device as the fleet knows it."""
        return self._devices.get(name)

    def _is_current(self, device: DeviceState) -> bool:
        """Whether the device still writes the journal by which the fleet knows it.

        Given to a former one, a task would wait for ever: ``returned.settle`` has been there.
        """
        if device.id not in self._current:
            rows = self._tx.query(LOAD, device.id)
            self._current[device.id] = bool(rows) and rows[0][0] == device.incarnation
            self._loads[device.id] = rows[0][1] if rows else 0
        return self._current[device.id]
