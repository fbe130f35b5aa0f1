"""The devices as the hub knows them, in memory: their rows, and which of them are connected."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Set
from typing import Any

import msgspec

from hub.allocation import BATTERY, Battery, DeviceState
from shared.core import instants
from shared.core.task_view import Absence
from shared.store.transaction import Reading

_COLUMNS = (
    "id, site, incarnation, types, capabilities, last_seen_at, zone, battery_pct, x_m, y_m, "
    "charger_m"
)
ALL = f"SELECT {_COLUMNS} FROM devices"  # noqa: S608 - ours
ONE = f"SELECT {_COLUMNS} FROM devices WHERE id = $1"  # noqa: S608 - ours

SEEN = "SELECT last_seen_at FROM devices WHERE id = $1"

TYPES = "SELECT DISTINCT site, types FROM devices"


class Fleet:
    """A snapshot of the devices that is replaced, never changed: any thread may read it."""

    def __init__(
        self,
        connected: Callable[[], Set[str]],
        battery: Battery = BATTERY,
        unready: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """Start with no devices.

        Args:
            connected: Devices with an open session, whose rows are already written; a set that
                nobody changes once it was returned.
            battery: Below what charge a device gets nothing.
            unready: Those of the connected that get nothing at present, and why.
        """
        self._connected = connected
        self._unready = unready
        self._battery = battery
        self._states: Mapping[str, DeviceState] = {}

    @property
    def states(self) -> Mapping[str, DeviceState]:
        """Devices by id; the same object as long as nothing has changed."""
        return self._states

    def learn(self, rows: Collection[tuple[Any, ...]]) -> frozenset[str]:
        """Take rows of devices and look who is connected; return those that changed."""
        connected, unready = self._connected(), self._unready()
        states = dict(self._states)
        for row in rows:
            state = _state(row, self._battery)
            states[state.id] = state
        for state in states.values():
            is_here, why_not = state.id in connected, unready.get(state.id)
            if (state.connected, state.unready) != (is_here, why_not):
                states[state.id] = msgspec.structs.replace(
                    state, connected=is_here, unready=why_not
                )
        changed = frozenset(d for d, state in states.items() if self._states.get(d) != state)
        if changed:
            self._states = states
        return changed


def absence(reading: Reading, device: str, connected: Set[str]) -> Absence | None:
    """Return since when a device has not been heard; None: it is here."""
    if device in connected:
        return None
    found = reading.query(SEEN, device)
    return Absence(device, instants.text(found[0][0]) if found else None)


def types(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield site and type of the tasks that devices run, connected or not."""
    for site, known in reading.query(TYPES):
        for type_ in json.loads(known):
            yield site, type_


def rows(reading: Reading, devices: Collection[str] | None) -> list[tuple[Any, ...]]:
    """Read the rows of some devices, or of all."""
    if devices is None:
        return reading.query(ALL)
    return [row for device in devices for row in reading.query(ONE, device)]


def _state(row: tuple[Any, ...], battery: Battery) -> DeviceState:
    id_, site, incarnation, types, capabilities, last_seen_ms, *place = row
    zone, battery_pct, x_m, y_m, charger_m = place
    return DeviceState(
        id=id_,
        site=site,
        incarnation=incarnation,
        types=frozenset(json.loads(types)),
        capabilities=frozenset(json.loads(capabilities)),
        connected=False,
        last_seen_ms=last_seen_ms,
        zone=zone,
        battery_pct=battery_pct,
        battery_min_pct=battery.min_pct(charger_m),
        x_m=x_m,
        y_m=y_m,
    )
