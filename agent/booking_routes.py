"""Routes by which an agent asks the hub for bookings: kept here, sent when there is a link.

What surely cannot be, as far as this agent knows the rules and the bookings near in time, is
refused at once; of all else the hub decides. Until then it shows as requested.
"""

from functools import partial

from shared.api import body as bodies
from shared.api import booking_input, conditional, idempotency
from shared.api.booking_input import BookingChange, NewBooking
from shared.api.booking_view import BookingView
from shared.api.booking_world import BOOKING, world
from shared.api.bookings import RemoveBooking, single
from shared.api.conditional import Precondition
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route
from shared.api.sites import choose
from shared.core.booking.booking import Ask, Cancel, Request
from shared.core.booking.decision import World, decide
from shared.core.event import Dot
from shared.core.kinds import booking as bookings
from shared.core.record import Record
from shared.core.vector import Vector
from shared.errors import Clash, Refused
from shared.store.transaction import Transaction

UNDECIDED = "SELECT id FROM bookings WHERE undecided > 0 ORDER BY id DESC LIMIT $1"
UNDER_WAY_MAX = 200  # bookings whose requests are looked at again with each new one
SERIES = "a series is decided by the hub; ask there, or for each time by itself"


async def create(call: Call) -> Answer:
    """Ask for a booking of resources, all or none."""
    asked = await bodies.read(call.request, NewBooking)
    if asked.series is not None:
        raise Refused(SERIES, (("$.series", "not at an agent"),))
    site = choose(call.context, asked.site)
    booking_id = asked.id or call.context.new_id()
    write = partial(_create, call=call, asked=asked, site=site, booking_id=booking_id)
    return await idempotency.write(call, write)


async def change(call: Call) -> Answer:
    """Ask that a booking is moved, a hold confirmed, or that nobody came is noted."""
    asked = await bodies.read(call.request, BookingChange)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_change, call=call, asked=asked, known=known))


async def remove(call: Call) -> Answer:
    """Ask that a booking is cancelled."""
    asked = bodies.query(call.request, RemoveBooking)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_remove, call=call, asked=asked, known=known))


def _create(tx: Transaction, call: Call, asked: NewBooking, site: str, booking_id: str) -> Answer:
    here = world(tx, site, tx.now_ms)
    wanted = booking_input.create(asked, here)
    first = bookings.created(tx.record(BOOKING, booking_id))
    if first is not None:
        if bookings.request_of(first) == wanted and first.header.actor == call.actor:
            return single(tx, booking_id)
        raise Clash(f"booking {booking_id} exists; take another id")
    if not asked.anyway:
        _must_be_possible(tx, here, booking_id, wanted)
    _write(tx, call, site, booking_id, wanted)
    return single(tx, booking_id, status=202, location=True)


def _change(tx: Transaction, call: Call, asked: BookingChange, known: Precondition) -> Answer:
    record, seen = _find(tx, call, known)
    here = world(tx, record.site, tx.now_ms)
    body = booking_input.request_of(asked, record, seen, here)
    if not asked.anyway:
        _must_be_possible(tx, here, call.id, body)
    _write(tx, call, record.site, call.id, body)
    return single(tx, call.id, status=202)


def _remove(tx: Transaction, call: Call, asked: RemoveBooking, known: Precondition) -> Answer:
    record, _ = _find(tx, call, known)
    body = Cancel(asked.reason)
    if not bookings.undecided(record):  # whatever becomes of those, it is wanted no more
        here = world(tx, record.site, tx.now_ms)
        _must_be_possible(tx, here, call.id, body)
    _write(tx, call, record.site, call.id, body)
    return single(tx, call.id, status=202)


def _must_be_possible(tx: Transaction, here: World, booking_id: str, body: Ask) -> None:
    """Decide as the hub would if it knew what is known here: all that is under way, in its order.

    Raises:
        Clash: It would say no.
    """
    others = {found for (found,) in tx.query(UNDECIDED, UNDER_WAY_MAX)} | {booking_id}
    waiting = [e for one in others for e in bookings.undecided(tx.record(BOOKING, one))]
    under_way = [
        Request(e.header.at, e.dot, e.header.subject, bookings.request_of(e)) for e in waiting
    ]
    last = max((request.at for request in under_way), default=0)
    mine = Request(last + 1, Dot("", 1), booking_id, body)
    *_, decision = decide([*under_way, mine], here)
    booking_input.require(tx, here, decision)


def _write(tx: Transaction, call: Call, site: str, booking_id: str, body: Ask) -> None:
    register = bookings.ASKS[type(body)]
    tx.append(
        site=site,
        kind=f"{BOOKING}.{register}",
        subject=booking_id,
        register=register,
        body=body,
        actor=call.actor,
    )


def _find(tx: Transaction, call: Call, known: Precondition) -> tuple[Record, Vector | None]:
    record = tx.record(BOOKING, call.id)
    if bookings.shown(record) is None:
        not_found(BOOKING, call.id)
    return record, conditional.check(known, record)


ROUTES = (
    Route(
        method="POST",
        path="/api/bookings",
        handler=create,
        summary="Ask for resources, all or none; the hub decides",
        status=202,
        body=NewBooking,
        answer=BookingView,
        headers=("Location", "ETag"),
    ),
    Route(
        method="PATCH",
        path="/api/bookings/{id}",
        handler=change,
        summary="Ask to move it, to confirm a hold, or to note that nobody came",
        status=202,
        body=BookingChange,
        answer=BookingView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/bookings/{id}",
        handler=remove,
        summary="Ask to cancel it",
        status=202,
        query=RemoveBooking,
        answer=BookingView,
        headers=("ETag",),
        is_conditional=True,
    ),
)
