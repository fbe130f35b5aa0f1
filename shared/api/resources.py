"""Routes of resources that both ends serve: what can be booked, and when."""

import datetime
from functools import partial

import msgspec

from shared.api import body as bodies
from shared.api.booking_world import RESOURCE
from shared.api.context import Topic
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.core import instants
from shared.core import record as records
from shared.core.booking.affected import Affected
from shared.core.booking.rules import Hours, Limits
from shared.core.kinds import resource as kind
from shared.core.kinds.resource import Bookable
from shared.core.record import Record
from shared.store import changes
from shared.store.transaction import Reading

LIST = "SELECT id FROM resources WHERE retired = 0 AND id > $1 ORDER BY id LIMIT $2"


class ResourceView(msgspec.Struct, frozen=True):
    """What can be booked: a resource, or a group that is booked as a whole.

    Attributes:
        members: Of a group; null: it is a resource, and has hours and limits.
        public_holidays: Of the region that its hours name.
        affected: After a write: bookings that lie outside the new rules. They stand.
    """

    id: str
    site: str
    name: str | None
    description: str | None
    members: list[str] | None
    timezone: str | None
    hours: Hours | None
    limits: Limits | None
    public_holidays: dict[datetime.date, str]
    created_at: str
    updated_at: str
    etag: str
    affected: tuple[Affected, ...] = ()


class HoursView(msgspec.Struct, frozen=True):
    """When a resource can be booked."""

    resource: str
    hours: Hours
    public_holidays: dict[datetime.date, str]
    etag: str
    affected: tuple[Affected, ...] = ()


async def list_all(call: Call) -> Answer:
    """Return a page of what can be booked, by id."""
    asked = bodies.query(call.request, PageQuery)
    return await call.context.replica.read(partial(_page, asked=asked))


async def get(call: Call) -> Answer:
    """Return one resource or group."""
    return await call.context.replica.read(partial(single, name=call.id))


async def get_hours(call: Call) -> Answer:
    """Return the hours of a resource."""
    return await call.context.replica.read(partial(single_hours, name=call.id))


def render(reading: Reading, name: str) -> ResourceView | None:
    """Return a resource as the API shows it; None if it is not in use."""
    held = reading.record(RESOURCE, name)
    found = kind.read(held)
    return _view(held, found) if found else None


def single(
    reading: Reading,
    name: str,
    status: int = 200,
    location: bool = False,
    affected: tuple[Affected, ...] = (),
) -> Answer:
    """Return a resource as an answer."""
    shown = render(reading, name)
    if shown is None:
        not_found(RESOURCE, name)
    headers = {"Location": f"/api/resources/{name}"} if location else {}
    full = msgspec.structs.replace(shown, affected=affected)
    return record(full, shown.etag, status, headers)


def single_hours(
    reading: Reading, name: str, status: int = 200, affected: tuple[Affected, ...] = ()
) -> Answer:
    """Return a resource's hours as an answer."""
    shown = render(reading, name)
    if shown is None or shown.hours is None:
        not_found("resource with hours", name)
    view = HoursView(name, shown.hours, shown.public_holidays, shown.etag, affected)
    return record(view, shown.etag, status)


def _page(reading: Reading, asked: PageQuery) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    names = [row[0] for row in reading.query(LIST, after, asked.limit + 1)]
    shown = [render(reading, name) for name in names[: asked.limit]]
    following = write_cursor(names[asked.limit - 1]) if len(names) > asked.limit else None
    page = Page([item for item in shown if item], following)
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _view(held: Record, found: Bookable) -> ResourceView:
    named = found.hours.holidays if found.hours else None
    return ResourceView(
        id=found.id,
        site=found.site,
        name=found.name,
        description=found.description,
        members=list(found.group.members) if found.group else None,
        timezone=found.hours.timezone if found.hours else None,
        hours=found.hours,
        limits=found.limits,
        public_holidays=dict(found.holidays.days) if found.holidays and named else {},
        created_at=instants.text(found.created_ms),
        updated_at=instants.text(found.updated_ms),
        etag=records.etag(held),
    )


TOPIC = Topic(name="resources", kind=RESOURCE, one="resource:", render=render)

ROUTES = (
    Route(
        method="GET",
        path="/api/resources",
        handler=list_all,
        summary="What can be booked, by id",
        query=PageQuery,
        answer=Page[ResourceView],
        headers=("Skerry-Position",),
    ),
    Route(
        method="GET",
        path="/api/resources/{id}",
        handler=get,
        summary="One resource or group: its hours and limits, or its members",
        answer=ResourceView,
        headers=("ETag",),
    ),
    Route(
        method="GET",
        path="/api/resources/{id}/hours",
        handler=get_hours,
        summary="When it can be booked",
        answer=HoursView,
        headers=("ETag",),
    ),
)
