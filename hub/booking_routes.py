"""Routes by which the hub books: decided and written before they are answered."""

from functools import partial

from hub import booking_series, deciding
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
from shared.core.booking.booking import Cancel
from shared.core.kinds import booking as bookings
from shared.core.record import Record
from shared.core.vector import Vector
from shared.errors import Clash
from shared.store.transaction import Transaction


async def create(call: Call) -> Answer:
    """Book resources, all or none; or a series of times."""
    asked = await bodies.read(call.request, NewBooking)
    site = choose(call.context, asked.site)
    if asked.series is not None:
        series = booking_series.planned(asked, call.context.new_id())
        write = partial(booking_series.book, call=call, site=site, planned=series)
        return await idempotency.write(call, write)
    booking_id = asked.id or call.context.new_id()
    book = partial(_create, call=call, asked=asked, site=site, booking_id=booking_id)
    return await idempotency.write(call, book)


async def change(call: Call) -> Answer:
    """Move a booking, confirm a hold, or say that nobody came."""
    asked = await bodies.read(call.request, BookingChange)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_change, call=call, asked=asked, known=known))


async def remove(call: Call) -> Answer:
    """Cancel a booking; it stays to be seen."""
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
    _, decision = deciding.ask(tx, site=site, booking_id=booking_id, body=wanted, actor=call.actor)
    booking_input.require(tx, here, decision)
    return single(tx, booking_id, status=201, location=True)


def _change(tx: Transaction, call: Call, asked: BookingChange, known: Precondition) -> Answer:
    record, seen = _find(tx, call, known)
    here = world(tx, record.site, tx.now_ms)
    body = booking_input.request_of(asked, record, seen, here)
    _, decision = deciding.ask(
        tx, site=record.site, booking_id=call.id, body=body, actor=call.actor
    )
    booking_input.require(tx, here, decision)
    return single(tx, call.id)


def _remove(tx: Transaction, call: Call, asked: RemoveBooking, known: Precondition) -> Answer:
    record, _ = _find(tx, call, known)
    _, decision = deciding.ask(
        tx,
        site=record.site,
        booking_id=call.id,
        body=Cancel(asked.reason),
        actor=call.actor,
    )
    booking_input.require(tx, world(tx, record.site, tx.now_ms), decision)
    return single(tx, call.id)


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
        summary="Book resources, all or none; 409 names the conflicts and offers alternatives",
        status=201,
        body=NewBooking,
        answer=BookingView,
        headers=("Location", "ETag"),
    ),
    Route(
        method="PATCH",
        path="/api/bookings/{id}",
        handler=change,
        summary="Move it, confirm a hold, or say that nobody came",
        body=BookingChange,
        answer=BookingView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/bookings/{id}",
        handler=remove,
        summary="Cancel it",
        query=RemoveBooking,
        answer=BookingView,
        headers=("ETag",),
        is_conditional=True,
    ),
)
