"""Calendars out, for programs that subscribe to them; and in, as busy times of a resource."""

import asyncio
import datetime
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

import msgspec
from aiohttp import web

from hub import calendar_feed, calendar_import
from hub.calendar_feed import Feed, FreeBusy
from hub.calendar_import import Read
from shared.api import body as bodies
from shared.api import idempotency
from shared.api.booking_world import RESOURCE
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json
from shared.core import instants
from shared.core.booking import local_time
from shared.core.booking.interval import Interval
from shared.core.ids import Name
from shared.core.kinds import resource as resources
from shared.errors import Malformed, Refused
from shared.store.transaction import Reading, Transaction

CALENDAR = "text/calendar"
PERSON_MAX = 200
BUSY_MAX = 2000  # of one import: one transaction of some 0.3 s


class CalendarQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a calendar.

    Attributes:
        freebusy: Only when it is taken, without titles and names.
    """

    freebusy: Literal["true", "false"] = "false"


async def of_resource(call: Call) -> Answer:
    """Return the calendar of a resource or a group."""
    return await _answer(call, calendar_feed.of_resource, calendar_feed.free_busy_of_resource)


async def of_person(call: Call) -> Answer:
    """Return the calendar of what a person asked for."""
    if len(call.id) > PERSON_MAX:
        not_found("person", f"{call.id[:PERSON_MAX]}…")
    return await _answer(call, calendar_feed.of_person, calendar_feed.free_busy_of_person)


class ImportQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of an import.

    Attributes:
        source: Whose calendar it is: what it said before is replaced.
    """

    source: Name


class ImportView(msgspec.Struct, frozen=True):
    """What an import changed.

    Attributes:
        start: Of the window that was read; what is past stays as it was.
        end: Of that window.
        events: How many events say when somebody is busy.
        ignored: How many do not: cancelled, transparent, without length.
        added: Busy times that are new.
        kept: Those that were there.
        removed: Those that are no longer.
        in_the_way: Other bookings at times when more is taken than there are places. They stand.
    """

    source: str
    start: str
    end: str
    events: int
    ignored: int
    added: int
    kept: int
    removed: int
    in_the_way: tuple[str, ...]


async def take(call: Call) -> Answer:
    """Take the busy times of a calendar, instead of those that it had before."""
    asked = bodies.query(call.request, ImportQuery)
    if call.request.content_type != CALENDAR:
        raise Malformed(f"the content type is {call.request.content_type}; send {CALENDAR}")
    raw = await bodies.read_bytes(call.request)
    record = await call.context.replica.record(RESOURCE, call.id)
    resource = resources.ready(record)
    if resource is None:
        not_found("resource with hours", call.id)
    zone = resource.calendar.zone
    now_ms = call.context.now_ms()
    today = local_time.day(now_ms, zone)
    window = Interval(now_ms, local_time.midnight(today + calendar_feed.AHEAD, zone))
    found = await asyncio.to_thread(_read, raw, zone, window)
    if len(found.busy) > BUSY_MAX:
        message = f"{len(found.busy)} busy times within 400 days, at most {BUSY_MAX}"
        raise Refused(f"{message}; import a calendar with fewer events")

    def write(tx: Transaction) -> Answer:
        done = calendar_import.replace(
            tx,
            site=record.site,
            resource=resource,
            source=asked.source,
            busy=found.busy,
            window=window,
            actor=call.actor,
            new_id=call.context.new_id,
        )
        start, end = instants.text(window.start_ms), instants.text(window.end_ms)
        counts = (done.added, done.kept, done.removed, done.in_the_way)
        return json(ImportView(asked.source, start, end, found.events, found.ignored, *counts))

    return await idempotency.write(call, write)


def _read(raw: bytes, zone: datetime.tzinfo, window: Interval) -> Read:
    from hub import calendar_reading  # loads the library, as below

    return calendar_reading.read(raw, zone, window)


async def _answer(
    call: Call,
    events: Callable[[Reading, str, int], Feed],
    free_busy: Callable[[Reading, str, int], FreeBusy],
) -> Answer:
    asked = bodies.query(call.request, CalendarQuery)
    now_ms = call.context.now_ms()

    def find(reading: Reading) -> Feed | FreeBusy:
        return (free_busy if asked.freebusy == "true" else events)(reading, call.id, now_ms)

    told = await call.context.replica.read(find)
    # Thousands of events take a second; other requests must not wait for that.
    text = await asyncio.to_thread(_write, told)
    etag = f'"{sha256(text).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if _has(call.request, etag):
        return Answer(304, headers=headers)
    return Answer(200, text, headers, f"{CALENDAR}; charset=utf-8")


def _write(told: Feed | FreeBusy) -> bytes:
    from hub import calendar_format  # see there: not before it is needed

    if isinstance(told, Feed):
        return calendar_format.write(told)
    return calendar_format.write_free_busy(told)


def _has(request: web.Request, etag: str) -> bool:
    """Say whether the caller has this version already."""
    known = request.headers.get("If-None-Match", "")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in known.split(","))


ROUTES = (
    Route(
        method="GET",
        path="/api/resources/{id}/calendar.ics",
        handler=of_resource,
        summary="Its calendar, to subscribe to; freebusy=true: only when it is taken",
        query=CalendarQuery,
        answer_type=CALENDAR,
        headers=("ETag",),
        takes_password=True,
    ),
    Route(
        method="POST",
        path="/api/resources/{id}/calendar.ics",
        handler=take,
        summary="Take the busy times of a calendar, instead of those that its source had before",
        body_type=CALENDAR,
        query=ImportQuery,
        answer=ImportView,
    ),
    Route(
        method="GET",
        path="/api/people/{id}/calendar.ics",
        handler=of_person,
        summary="The calendar of what a person asked for; freebusy=true: only when",
        query=CalendarQuery,
        answer_type=CALENDAR,
        headers=("ETag",),
        takes_password=True,
    ),
)
