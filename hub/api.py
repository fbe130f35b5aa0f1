"""Routes that only the hub serves: devices, and the socket through which they sync."""

import json as plain_json
from collections.abc import Awaitable, Callable, Iterable, Set
from functools import partial

import msgspec
from aiohttp import web

from shared.api import body as bodies
from shared.api.context import Sample, Topic
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json
from shared.core import instants
from shared.store import changes
from shared.store.transaction import Reading

KIND = "device"

COLUMNS = (
    "id, site, last_seen_at, backlog, clock, clock_offset_ms, disk_free_bytes, version, "
    "incarnation, types, capabilities, zone, battery_pct, x_m, y_m, charger_m, "
    "(SELECT count(*) FROM held_apart h WHERE h.device = devices.id)"
)
LIST = f"SELECT {COLUMNS} FROM devices WHERE id > $1 ORDER BY id LIMIT $2"  # noqa: S608 - ours
FIND = f"SELECT {COLUMNS} FROM devices WHERE id = $1"  # noqa: S608 - ours

Connected = Callable[[], Set[str]]
Sync = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Device(msgspec.Struct, frozen=True):
    """A device as the API shows it (SHAPES, Device); all but ``connected`` as last heard.

    ``held_apart`` counts the events of its forks: other content under names that are taken.
    """

    id: str
    site: str
    connected: bool
    last_seen_at: str
    backlog: int
    clock: str
    clock_offset_ms: int | None
    disk_free_bytes: int | None
    version: str
    incarnation: str
    types: list[str]
    capabilities: list[str]
    zone: str | None
    battery_pct: float | None
    x_m: float | None
    y_m: float | None
    charger_m: float | None
    held_apart: int


class _Row(msgspec.Struct, frozen=True):
    """A row of the table, in the order of COLUMNS."""

    id: str
    site: str
    last_seen_ms: int
    backlog: int
    clock: str
    clock_offset_ms: int | None
    disk_free_bytes: int | None
    version: str
    incarnation: str
    types: str
    capabilities: str
    zone: str | None
    battery_pct: float | None
    x_m: float | None
    y_m: float | None
    charger_m: float | None
    held_apart: int


def routes(connected: Connected) -> tuple[Route, ...]:
    """Return the routes of devices.

    Args:
        connected: Devices whose session is open; any thread may call it.
    """

    async def list_all(call: Call) -> Answer:
        asked = bodies.query(call.request, PageQuery)
        return await call.context.replica.read(partial(_page, asked=asked, connected=connected))

    async def get(call: Call) -> Answer:
        shown = await call.context.replica.read(partial(_render, connected, subject=call.id))
        return json(shown) if shown else not_found(KIND, call.id)

    return (
        Route(
            method="GET",
            path="/api/devices",
            handler=list_all,
            summary="Devices, by id",
            query=PageQuery,
            answer=Page[Device],
            headers=("Skerry-Position",),
        ),
        Route(
            method="GET", path="/api/devices/{id}", handler=get, summary="A device", answer=Device
        ),
    )


def sync(handle: Sync) -> Route:
    """Return the route of devices' sessions; ``handle`` runs one whose token has been checked."""

    async def join(call: Call) -> web.StreamResponse:
        return await handle(call.request)

    return Route(
        method="GET",
        path="/sync",
        handler=join,
        summary="WebSocket for devices: binary frames",
        status=101,
    )


def topics(connected: Connected) -> tuple[Topic, ...]:
    """Return the live topic of devices."""
    devices = Topic(
        name="devices",
        kind=KIND,
        render=lambda reading, subject: _render(connected, reading, subject),
    )
    return (devices,)


def samples(connected: Connected) -> Iterable[Sample]:
    """Return how many devices are connected, for ``/metrics``."""
    return (Sample("devices_connected", len(connected())),)


def _page(reading: Reading, asked: PageQuery, connected: Connected) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    rows = [_Row(*row) for row in reading.query(LIST, after, asked.limit + 1)]
    here = connected()
    items = [_view(row, here) for row in rows[: asked.limit]]
    following = write_cursor(items[-1].id) if len(rows) > asked.limit else None
    position = str(changes.position(reading))
    return json(Page(items, following), headers={"Skerry-Position": position})


def _render(connected: Connected, reading: Reading, subject: str) -> Device | None:
    rows = reading.query(FIND, subject)
    return _view(_Row(*rows[0]), connected()) if rows else None


def _view(row: _Row, connected: Set[str]) -> Device:
    return Device(
        id=row.id,
        site=row.site,
        connected=row.id in connected,
        last_seen_at=instants.text(row.last_seen_ms),
        backlog=row.backlog,
        clock=row.clock,
        clock_offset_ms=row.clock_offset_ms,
        disk_free_bytes=row.disk_free_bytes,
        version=row.version,
        incarnation=row.incarnation,
        types=plain_json.loads(row.types),
        capabilities=plain_json.loads(row.capabilities),
        zone=row.zone,
        battery_pct=row.battery_pct,
        x_m=row.x_m,
        y_m=row.y_m,
        charger_m=row.charger_m,
        held_apart=row.held_apart,
    )
