"""Bookings decided in the transaction in which they are asked for. Promise 3.

Whatever asks, a person at the hub or a batch from an agent, the decision is made and written where
the request is: nothing can be booked in between, and a hub that is killed has decided what it has
stored, or has neither.
"""

from collections.abc import Iterable, Sequence

import msgspec

from shared.api.booking_world import BOOKING, world
from shared.core.booking.booking import Ask, Decision, Request
from shared.core.booking.decision import decide, of_none
from shared.core.booking.reason import Reason
from shared.core.booking.status import Status
from shared.core.clock import COUNTER_BITS, Stamp, at_ms
from shared.core.event import Event, device_of
from shared.core.kinds import booking as bookings
from shared.core.kinds import record_kind
from shared.store.transaction import Transaction

OFFSET = "SELECT clock_offset_ms FROM devices WHERE id = $1"
UNDECIDED = "SELECT id FROM bookings WHERE undecided > 0 ORDER BY id LIMIT $1"
DUE = """SELECT id FROM bookings WHERE status = 'held' AND held_until <= $1
    ORDER BY held_until LIMIT $2"""
ROUND_MAX = 200
EXPIRE_MAX = 200  # holds in one transaction
NAMED_MAX = 50  # bookings in the way, of each resource: with 50 resources some 100 KiB


def react(tx: Transaction, applied: Sequence[Event], site: str) -> None:
    """Decide what arrived with a batch; ``shared.store.judge.React``."""
    asking = [
        event
        for event in applied
        if record_kind(event.header.kind) == BOOKING and bookings.is_request(event)
    ]
    if asking:
        decide_events(tx, asking, site)


def ask(
    tx: Transaction,
    *,
    site: str,
    booking_id: str,
    body: Ask,
    actor: str,
    of_calendars: bool = False,
) -> tuple[Event, Decision]:
    """Write a request and its decision; ``of_calendars`` as in ``decide_events``."""
    register = bookings.ASKS[type(body)]
    event = tx.append(
        site=site,
        kind=f"{BOOKING}.{register}",
        subject=booking_id,
        register=register,
        body=body,
        actor=actor,
    )
    (decision,) = decide_events(tx, (event,), site, of_calendars=of_calendars)
    return event, decision


def decide_events(
    tx: Transaction, asking: Iterable[Event], site: str, *, of_calendars: bool = False
) -> tuple[Decision, ...]:
    """Decide requests that are stored, in the order of their corrected times and dots.

    Args:
        tx: The transaction.
        asking: The requests.
        site: Site of the bookings.
        of_calendars: They may change busy times of calendars: an import, the end of a resource.
    """
    by_dot = {event.dot: event for event in asking if not _is_decided(tx, event)}
    # Before its place is given away: if the clock is set back, it must not be alive again. But who
    # confirms it late may have it, while nobody else does.
    asked_of = frozenset(event.header.subject for event in by_dot.values())
    expire_due(tx, but=asked_of)
    offsets: dict[str, int] = {}
    requests = [_request(tx, event, offsets) for event in by_dot.values()]
    here = world(tx, site, tx.now_ms)
    if of_calendars:
        here = msgspec.structs.replace(here, source=of_none)
    decisions = decide(requests, here)
    for decision in decisions:
        write(tx, by_dot[decision.request], decision, site)
    for booking_id in sorted(asked_of):
        expire(tx, booking_id)  # nobody confirmed it, and the batch may have given its place away
    return decisions


def write(tx: Transaction, event: Event, decision: Decision, site: str) -> None:
    """Write the decision on a request, once and for all."""
    register = bookings.decision_register(event.header.register, event.dot)
    assert not tx.record(BOOKING, event.header.subject).register(register).siblings
    tx.append(
        site=site,
        kind="booking.decided",
        subject=event.header.subject,
        register=register,
        body=_signed(_bounded(decision), event),
        actor=tx.node.device,
    )


def _signed(decision: Decision, request: Event) -> Decision:
    """Say who had asked, and when: a later request of the same sort may cover this one."""
    asked_ms = at_ms(Stamp(request.header.at))
    return msgspec.structs.replace(decision, actor=request.header.actor, asked_ms=asked_ms)


def _bounded(decision: Decision) -> Decision:
    """Name no more bookings in the way than an event holds: a ward may have a thousand beds."""
    reasons = tuple(
        msgspec.structs.replace(reason, bookings=reason.bookings[:NAMED_MAX])
        for reason in decision.reasons
    )
    return msgspec.structs.replace(decision, reasons=reasons)


def decide_rest(tx: Transaction, most: int = ROUND_MAX) -> int:
    """Decide what is undecided for whatever reason; return how many requests that were."""
    count = 0
    for (booking_id,) in tx.query(UNDECIDED, most):
        record = tx.record(BOOKING, booking_id)
        count += len(decide_events(tx, bookings.undecided(record), record.site))
    return count


def _is_decided(tx: Transaction, event: Event) -> bool:
    record = tx.record(BOOKING, event.header.subject)
    return bookings.is_decided(record, event.header.register, event.dot)


def _request(tx: Transaction, event: Event, offsets: dict[str, int]) -> Request:
    device = device_of(event.header.origin)
    if device not in offsets:
        rows = tx.query(OFFSET, device)
        offsets[device] = (rows[0][0] or 0) if rows else 0
    # How far its clock is ahead of ours, as it last said: the order among those who asked together
    # must not be that of their clocks.
    at = max(0, event.header.at - (offsets[device] << COUNTER_BITS))
    return Request(at, event.dot, event.header.subject, bookings.request_of(event))


def expire_due(tx: Transaction, but: frozenset[str] = frozenset()) -> int:
    """Say of the holds that ran out that they did, of EXPIRE_MAX at most; return how many."""
    due = tx.query(DUE, tx.now_ms, EXPIRE_MAX + len(but))
    return sum(expire(tx, booking_id) for (booking_id,) in due if booking_id not in but)


def expire(tx: Transaction, booking_id: str) -> bool:
    """Say that a hold has run out, if it has and nobody said so yet; did it?"""
    record = tx.record(BOOKING, booking_id)
    booking = bookings.stands(record)
    if booking is None or booking.status is not Status.HELD:
        return False
    if booking.held_until_ms is None or booking.held_until_ms > tx.now_ms:
        return False
    tx.append(
        site=record.site,
        kind="booking.expired",
        subject=booking_id,
        register=bookings.EXPIRED,
        body=bookings.Expired(booking.held_until_ms),
        actor=tx.node.device,
    )
    return True


def flag(tx: Transaction, booking_id: str, reasons: tuple[Reason, ...]) -> None:
    """Say why a booking lies outside the rules of today; no reasons: it does not."""
    record = tx.record(BOOKING, booking_id)
    booking = bookings.stands(record)
    if booking is None or booking.slot is None or bookings.outside(record) == reasons:
        return
    tx.append(
        site=record.site,
        kind="booking.flagged",
        subject=booking_id,
        register=bookings.FLAGGED,
        body=bookings.Flagged(booking.slot, reasons),
        actor=tx.node.device,
    )
