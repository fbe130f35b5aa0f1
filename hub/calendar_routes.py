"""Calendars out: of a resource and of a person, for programs that subscribe to them."""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from typing import Literal

import msgspec
from aiohttp import web

from hub import calendar_feed
from hub.calendar_feed import Feed, FreeBusy
from shared.api import body as bodies
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route
from shared.store.transaction import Reading

CALENDAR = "text/calendar"
PERSON_MAX = 200


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
