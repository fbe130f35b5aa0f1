"""Bookings as the API shows them: times in UTC and as the resource's clock shows them."""

import datetime
from collections.abc import Iterable, Mapping

import msgspec

from shared.api.booking_world import Resources
from shared.core import instants
from shared.core import record as records
from shared.core.booking.booking import Create, Decision, Move
from shared.core.booking.interval import Interval
from shared.core.booking.reason import Reason
from shared.core.booking.resource import Resource
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.clock import at_ms
from shared.core.event import device_of
from shared.core.kinds import booking as bookings
from shared.core.kinds.booking import Asked
from shared.core.record import Record
from shared.store.transaction import Reading


class SlotView(msgspec.Struct, frozen=True):
    """``[start, end)`` of resources; ``…_local`` and ``timezone`` null: their zone is not known."""

    resources: list[str]
    start: str
    end: str
    start_local: str | None
    end_local: str | None
    timezone: str | None


class InTheWay(msgspec.Struct, frozen=True):
    """A booking that is in the way of another."""

    booking: str
    resource: str
    start: str
    end: str
    start_local: str | None
    end_local: str | None
    timezone: str | None


class OccurrenceView(msgspec.Struct, frozen=True):
    """What became of one time of a series.

    Attributes:
        original: When the rule has it, local time.
        shifted: Its local time does not exist, so it begins when the clock is changed.
        booking: Id of its booking; null: it was not booked.
    """

    original: str
    start: str
    end: str
    start_local: str | None
    end_local: str | None
    timezone: str | None
    shifted: bool
    accepted: bool
    booking: str | None
    reasons: tuple[Reason, ...]
    alternatives: list[SlotView]


class SeriesView(msgspec.Struct, frozen=True):
    """What became of a series."""

    series: str
    accepted: bool
    occurrences: tuple[OccurrenceView, ...]


class RequestView(msgspec.Struct, frozen=True):
    """What was asked about a booking, and what the hub said; ``accepted`` null: nothing yet."""

    ask: str
    actor: str | None
    device: str
    at: str
    accepted: bool | None
    start: str | None
    end: str | None
    resources: list[str] | None
    reasons: tuple[Reason, ...]
    alternatives: list[SlotView]


class BookingView(msgspec.Struct, frozen=True):
    """A booking.

    Attributes:
        tentative: Something was asked that the hub has not decided, as far as this node knows.
        source: The calendar whose busy time it is; null: somebody asked for it.
        overbooked: It stands though it no longer fits; a person decides.
        outside: Why it lies outside rules that were changed later.
        reasons: Of the last request, if it was refused.
        alternatives: What would have done when it was refused.
        requests: Oldest first.
    """

    id: str
    site: str
    status: Status
    resources: list[str]
    title: str
    requester: str | None
    start: str | None
    end: str | None
    start_local: str | None
    end_local: str | None
    timezone: str | None
    held_until: str | None
    series: str | None
    source: str | None
    tentative: bool
    overbooked: bool
    outside: tuple[Reason, ...]
    reasons: tuple[Reason, ...]
    alternatives: list[SlotView]
    requests: list[RequestView]
    created_at: str
    updated_at: str
    etag: str


def view(record: Record, known: Mapping[str, Resource]) -> BookingView | None:
    """Return a booking as the API shows it; None: there is none."""
    booking = bookings.shown(record)
    if booking is None:
        return None
    slot = booking.slot
    place = None if slot is None else slot_view(slot, known)
    requests = [_request(one, known) for one in bookings.asked(record)]
    last = requests[-1] if requests else None
    is_refused = last is not None and last.accepted is False
    first = bookings.created(record)
    part = bookings.part_of(record)
    stamps = [e.header.at for r in record.registers.values() for e in r.siblings]
    return BookingView(
        id=record.subject,
        site=record.site,
        status=booking.status,
        resources=place.resources if place else [],
        title=bookings.title(record),
        requester=first.header.actor if first else None,
        start=place.start if place else None,
        end=place.end if place else None,
        start_local=place.start_local if place else None,
        end_local=place.end_local if place else None,
        timezone=place.timezone if place else None,
        held_until=instants.text_or_none(booking.held_until_ms),
        series=part.series if part else None,
        source=bookings.source(record),
        tentative=any(request.accepted is None for request in requests),
        overbooked=bookings.is_overbooked(record),
        outside=bookings.outside(record),
        reasons=last.reasons if last and is_refused else (),
        alternatives=last.alternatives if last and is_refused else [],
        requests=requests,
        created_at=instants.text(at_ms(min(stamps))),
        updated_at=instants.text(at_ms(max(stamps))),
        etag=records.etag(record),
    )


def slot_view(slot: Slot, known: Mapping[str, Resource]) -> SlotView:
    """Return a slot as the API shows it."""
    return SlotView(list(slot.resources), *times(slot.interval, zone_of(slot.resources, known)))


def in_the_way(reasons: Iterable[Reason], reading: Reading) -> list[InTheWay]:
    """Return the bookings that reasons name, with their times."""
    found: dict[tuple[str, str], InTheWay] = {}
    for reason in reasons:
        for booking_id in reason.bookings:
            record = reading.record("booking", booking_id)
            booking = bookings.shown(record)
            if booking is None or booking.slot is None or reason.resource is None:
                continue
            zone = zone_of((reason.resource,), Resources(reading, record.site))
            key = (reason.resource, booking_id)
            found[key] = InTheWay(booking_id, reason.resource, *times(booking.slot.interval, zone))
    return list(found.values())


Times = tuple[str, str, str | None, str | None, str | None]


def times(interval: Interval, zone: datetime.tzinfo | None) -> Times:
    """Return start and end in UTC, the same by the local clock, and the name of its zone."""
    start, end = instants.text(interval.start_ms), instants.text(interval.end_ms)
    if zone is None:
        return start, end, None, None, None
    return start, end, local(interval.start_ms, zone), local(interval.end_ms, zone), str(zone)


def local(at: int, zone: datetime.tzinfo) -> str:
    """Write an instant as the local clock shows it, with its offset."""
    bounded = min(max(at, 0), instants.MS_MAX - bookings.DAY_MS)
    precision = "milliseconds" if bounded % 1000 else "seconds"
    return datetime.datetime.fromtimestamp(bounded / 1000, zone).isoformat(timespec=precision)


def zone_of(names: Iterable[str], known: Mapping[str, Resource]) -> datetime.tzinfo | None:
    """Return the zone in which the times of resources are shown: of the first that is known."""
    found = next((known[name] for name in names if name in known), None)
    return None if found is None else found.calendar.zone


_TIMED = (bookings.REQUESTED, "move")  # requests that name a time
_WORDS = {bookings.REQUESTED: "create", "miss": "no-show"}


def _request(asked: Asked, known: Mapping[str, Resource]) -> RequestView:
    decision: Decision | None = asked.decision
    slot = asked.ask.slot if isinstance(asked.ask, Create | Move) else None
    if asked.ask is None and decision and decision.accepted and asked.register in _TIMED:
        slot = decision.booking.slot
    return RequestView(
        ask=_WORDS.get(asked.register, asked.register),
        actor=asked.actor,
        device=device_of(asked.dot.origin),
        at=instants.text(asked.at_ms),
        accepted=decision.accepted if decision else None,
        start=instants.text(slot.start_ms) if slot else None,
        end=instants.text(slot.end_ms) if slot else None,
        resources=list(slot.resources) if slot else None,
        reasons=decision.reasons if decision else (),
        alternatives=[slot_view(s, known) for s in decision.alternatives] if decision else [],
    )
