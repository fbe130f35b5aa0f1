"""Routes of bookings that both ends serve: lists of a window, and one of them."""

import heapq
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Literal

import msgspec

from shared.api import body as bodies
from shared.api.booking_input import Time, instant, zone_of
from shared.api.booking_view import BookingView, view
from shared.api.booking_world import BOOKING, RESOURCE, SHORT_MS, Resources, world
from shared.api.context import NodeContext, Topic
from shared.api.pages import LIMIT_DEFAULT, Cursor, Limit, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.core.booking.booking import TEXT_MAX
from shared.core.booking.groups import resolve
from shared.core.booking.local_time import HOUR_MS
from shared.core.booking.slot import LENGTH_MS_MAX, TIME_MS_MAX
from shared.core.booking.status import Status
from shared.core.ids import Name
from shared.core.kinds import booking as kept
from shared.core.record import Record
from shared.errors import Invalid
from shared.store import changes
from shared.store import records as rows
from shared.store.transaction import Reading, Transaction

CURRENT = (Status.REQUESTED, Status.HELD, Status.CONFIRMED)
RESOURCES_MAX = 50  # of one list
_MARKS = ", ".join(f"${n}" for n in range(7, 7 + len(Status)))

_PART = f"""AND (begins, {{id}}) > ($2, $3) AND begins < $4 AND ends > $5
    AND status IN ({_MARKS}) {{more}} ORDER BY begins, {{id}} LIMIT $6"""
_OF_RESOURCE = "SELECT begins, booking FROM booking_places {index} WHERE resource = $1 " + _PART  # noqa: S608 - ours
_OF_PERSON = "SELECT begins, id FROM bookings {index} WHERE requester = $1 " + _PART  # noqa: S608 - ours
_OF_ALL = "SELECT begins, id FROM bookings {index} WHERE $1 = '' " + _PART  # noqa: S608 - ours
OF_RESOURCE = _OF_RESOURCE.format(id="booking", index="", more="")
OF_PERSON = _OF_PERSON.format(id="id", index="", more="")
OF_ALL = _OF_ALL.format(id="id", index="", more="")
# What began long before the window and reaches into it. By its own index: left alone, the planner
# looks for those few among all that began in a month.
_LONG = f"AND ends - begins > {SHORT_MS}"
LONG = {
    OF_RESOURCE: _OF_RESOURCE.format(
        id="booking", index="INDEXED BY booking_places_long", more=_LONG
    ),
    OF_PERSON: _OF_PERSON.format(id="id", index="INDEXED BY bookings_long_by_person", more=_LONG),
    OF_ALL: _OF_ALL.format(id="id", index="INDEXED BY bookings_long", more=_LONG),
}

# Few, so their own index finds them; by time they would be looked for among all. The plus keeps the
# planner from doing that.
OF_ATTENTION = f"""SELECT begins, id FROM bookings
    WHERE $1 = '' AND flagged = 1 AND (+begins, id) > ($2, $3) AND +begins < $4 AND ends > $5
    AND status IN ({_MARKS}) ORDER BY +begins, id LIMIT $6"""  # noqa: S608 - ours


class BookingQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """Query of a list.

    Attributes:
        resource: Any of these.
        person: Who asked for them.
        from_: What ends later than this; without an offset by the clock of the resources.
        to: What begins before this.
        status: Any of these; left out: requested, held and confirmed.
        attention: Only those that a person has to look at: outside rules that were changed, or
            overbooked.
    """

    resource: Annotated[tuple[Name, ...], msgspec.Meta(max_length=RESOURCES_MAX)] = ()
    person: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | None = None
    from_: Time | None = None
    to: Time | None = None
    status: tuple[Status, ...] = CURRENT
    attention: Literal["true", "false"] = "false"
    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class RemoveBooking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of ``DELETE``."""

    reason: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] = ""
    seen: Annotated[str, msgspec.Meta(max_length=6000)] | None = None


class BookingPage(msgspec.Struct, frozen=True):
    """A part of a list; ``complete`` false: this node knows only what is near in time."""

    items: list[BookingView]
    next: str | None
    complete: bool


Place = tuple[int, str]  # start and id: where a list goes on


async def list_all(call: Call) -> Answer:
    """Return a page of the bookings that overlap a window, by start."""
    asked = bodies.query(call.request, BookingQuery)
    return await call.context.replica.read(partial(_page, context=call.context, asked=asked))


async def get(call: Call) -> Answer:
    """Return one booking."""
    return await call.context.replica.read(partial(single, booking_id=call.id))


def render(reading: Reading, booking_id: str) -> BookingView | None:
    """Return a booking as the API shows it; None: this node knows none."""
    return next(iter(rendered(reading, (booking_id,))), None)


def rendered(reading: Reading, ids: Iterable[str]) -> list[BookingView]:
    """Return bookings as the API shows them, those that are known."""
    there = list(_records(reading, list(ids)))
    named: dict[str, set[str]] = {}  # resources, by site
    for one in there:
        booking = kept.shown(one)
        names = booking.slot.resources if booking and booking.slot else ()
        named.setdefault(one.site, set()).update(names)
    known = {site: Resources(reading, site) for site in named}
    for site, together in named.items():
        known[site].gather(sorted(together))
    found = (view(one, known[one.site]) for one in there)
    return [shown for shown in found if shown is not None]


def _records(reading: Reading, ids: list[str]) -> Iterable[Record]:
    if len(ids) == 1 or isinstance(reading, Transaction):  # which has what is not in the tables yet
        return (reading.record(BOOKING, booking_id) for booking_id in ids)
    known = rows.load_many(reading.db, BOOKING, ids)
    return (known[booking_id] for booking_id in ids if booking_id in known)


def single(reading: Reading, booking_id: str, status: int = 200, location: bool = False) -> Answer:
    """Return a booking as an answer."""
    shown = render(reading, booking_id)
    if shown is None:
        not_found(BOOKING, booking_id)
    headers = {"Location": f"/api/bookings/{booking_id}"} if location else {}
    return record(shown, shown.etag, status, headers)


def listed(
    reading: Reading,
    names: tuple[str, ...],
    person: str | None,
    window: tuple[int, int],
    statuses: tuple[Status, ...] = CURRENT,
    after: Place | None = None,
    limit: int = LIMIT_DEFAULT,
    *,
    attention: bool = False,
) -> list[Place]:
    """Return where the bookings of a window stand, in the order of their starts.

    Args:
        reading: Of this node.
        names: Resources, any of them; none: all.
        person: Who asked for them; None: anybody.
        window: From and to, Unix ms.
        statuses: Any of these.
        after: The last one that was given before.
        limit: How many at most.
        attention: Only those that a person has to look at, of all.
    """
    start, end = window
    since = start - SHORT_MS + 1  # what is no longer than that cannot have begun before
    first = after or (max(-1, start - LENGTH_MS_MAX - 1), "")
    padded = [*statuses, *[""] * (len(Status) - len(statuses))]

    def walk(text: str, who: str) -> Iterator[Place]:
        found: list[tuple[int, str]] = []
        if first < (since, ""):
            found += reading.query(LONG[text], who, *first, min(since, end), start, limit, *padded)
        if len(found) < limit:
            place = max(first, (since, ""))
            found += reading.query(text, who, *place, end, start, limit, *padded)
        return iter(found)

    if attention:
        return list(reading.query(OF_ATTENTION, "", *first, end, start, limit, *padded))
    if names:
        found: Iterable[Place] = heapq.merge(
            *(walk(OF_RESOURCE, name) for name in dict.fromkeys(names))
        )
    else:
        found = walk(OF_ALL, "") if person is None else walk(OF_PERSON, person)
    return list(dict.fromkeys(found))[:limit]


def _page(reading: Reading, context: NodeContext, asked: BookingQuery) -> Answer:
    if asked.resource and asked.person is not None:
        message = "give resource or person, not both"
        raise Invalid(message, (("$.person", message),))
    attention = asked.attention == "true"
    if attention and (asked.resource or asked.person is not None):
        message = "those that need attention are of all; leave resource and person out"
        raise Invalid(message, (("$.attention", message),))
    if len(asked.status) > len(Status):
        raise Invalid("a status is given twice", (("$.status", "given twice"),))
    after = read_cursor(asked.cursor, tuple[int, str]) if asked.cursor else None
    window = _window(reading, context, asked)
    found = listed(
        reading, _members(reading, context, asked.resource), asked.person, window, asked.status,
        after, asked.limit + 1, attention=attention,
    )  # fmt: skip
    shown = rendered(reading, (booking_id for _, booking_id in found[: asked.limit]))
    following = write_cursor(*found[asked.limit - 1]) if len(found) > asked.limit else None
    page = BookingPage(shown, following, context.role == "hub")
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _members(reading: Reading, context: NodeContext, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return resources with those of groups in their place; a booking knows nothing of groups."""
    if not names:
        return ()
    site = reading.record(RESOURCE, names[0]).site
    return resolve(names, world(reading, site, context.now_ms()).groups)


def _window(reading: Reading, context: NodeContext, asked: BookingQuery) -> tuple[int, int]:
    zone = None
    if asked.resource:
        site = reading.record(RESOURCE, asked.resource[0]).site
        zone = zone_of(asked.resource, world(reading, site, context.now_ms()))
    start = instant(asked.from_, zone, "$.from") if asked.from_ else -HOUR_MS
    end = instant(asked.to, zone, "$.to") if asked.to else TIME_MS_MAX + 1
    if start > end:
        raise Invalid("from is after to; exchange them", (("$.from", "after to"),))
    return start, end


TOPIC = Topic(name="bookings", kind=BOOKING, one="booking:", render=render)

ROUTES = (
    Route(
        method="GET",
        path="/api/bookings",
        handler=list_all,
        summary="Bookings that overlap a window, of resources or of a person, by start",
        query=BookingQuery,
        answer=BookingPage,
        headers=("Skerry-Position",),
    ),
    Route(
        method="GET",
        path="/api/bookings/{id}",
        handler=get,
        summary="One booking, with what was asked about it",
        answer=BookingView,
        headers=("ETag",),
    ),
)
