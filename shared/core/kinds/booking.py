"""Bookings: what anyone asks, and what the hub decides.

Registers that anyone writes, the latest request of each sort: ``requested``, ``confirm``, ``move``,
``cancel``, ``miss``. Registers that only the hub writes: ``decided.ASK.DOT``, one for each request,
written once; ``expired``, ``flagged``, ``series`` and ``imported``. Where a booking stands is what
the newest decision made of it. A request is decided when it arrives, so a later one of its sort may
cover it without anything being lost.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from shared.core import record as records
from shared.core.booking.booking import (
    Ask,
    Booking,
    Cancel,
    Confirm,
    Create,
    Decision,
    Miss,
    Move,
)
from shared.core.booking.interval import Interval
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.series import Wall
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.clock import at_ms
from shared.core.event import Dot, Event, device_of
from shared.core.ids import UUID7_PATTERN, Name, Uuid7
from shared.core.kinds.kind import Counter, Kind, Lane, Row, SideRow, Table
from shared.core.policy import Policy
from shared.core.record import Record
from shared.errors import Invalid

REQUESTED = "requested"
EXPIRED = "expired"
FLAGGED = "flagged"
SERIES = "series"
IMPORTED = "imported"
DECIDED = "decided"
DAY_MS = 24 * 3600 * 1000
NEAR_MS = 35 * DAY_MS  # five weeks: what a month's page shows
KEPT_MS = 7 * DAY_MS
TIME_MAX = 2**62  # what a column holds, with room for buffers

_uuid7 = re.compile(UUID7_PATTERN)


class Expired(msgspec.Struct, frozen=True):
    """Body of ``booking.expired``: this hold ran out."""

    held_until_ms: int


class Flagged(msgspec.Struct, frozen=True):
    """Body of ``booking.flagged``: why it lies outside rules that were changed later.

    Attributes:
        slot: The time this is about; of a booking that was moved it says nothing.
        reasons: None: it does not.
    """

    slot: Slot
    reasons: tuple[Reason, ...] = ()


class PartOf(msgspec.Struct, frozen=True):
    """Body of ``booking.series``: the series it was made with.

    Attributes:
        series: Id of the series.
        original: When the rule has this occurrence, local time.
    """

    series: Uuid7
    original: Wall


class Imported(msgspec.Struct, frozen=True):
    """Body of ``booking.imported``: busy time of a calendar, which no rule was held against."""

    source: Name


ASKS: dict[type[msgspec.Struct], str] = {
    Create: REQUESTED,
    Confirm: "confirm",
    Move: "move",
    Cancel: "cancel",
    Miss: "miss",
}
BODIES: dict[str, type[msgspec.Struct]] = {
    **{f"booking.{register}": ask for ask, register in ASKS.items()},
    "booking.decided": Decision,
    "booking.expired": Expired,
    "booking.flagged": Flagged,
    "booking.series": PartOf,
    "booking.imported": Imported,
}

_ask = msgspec.msgpack.Decoder(Ask).decode
_create = msgspec.msgpack.Decoder(Create).decode
_decision = msgspec.msgpack.Decoder(Decision).decode
_expired = msgspec.msgpack.Decoder(Expired).decode
_flagged = msgspec.msgpack.Decoder(Flagged).decode
_imported = msgspec.msgpack.Decoder(Imported).decode
_part_of = msgspec.msgpack.Decoder(PartOf).decode


# ------------------------------------------------------------------ what a record says


class Asked(msgspec.Struct, frozen=True):
    """A request about a booking, as far as this node knows it.

    Attributes:
        register: Which sort.
        dot: Its name.
        at_ms: When it was made, by its author's clock.
        actor: Who asked; None: another request has covered it since, and nobody wrote it down.
        ask: What; None: another request has covered it since.
        decision: What the hub made of it; None: that is not known here.
    """

    register: str
    dot: Dot
    at_ms: int
    actor: str | None
    ask: Ask | None
    decision: Decision | None


def decision_register(register: str, dot: Dot) -> str:
    """Return the name of the register that holds the decision on a request."""
    return f"{DECIDED}.{register}.{dot.origin}:{dot.seq}"


def is_decided(record: Record, register: str, dot: Dot) -> bool:
    """Say whether a request has its decision."""
    return bool(record.register(decision_register(register, dot)).siblings)


def request_of(event: Event) -> Ask:
    """Decode a request."""
    found: Ask = _ask(event.body_bytes)
    return found


def is_request(event: Event) -> bool:
    """Say whether an event of this kind asks for something."""
    return event.header.register in ASKS.values()


def undecided(record: Record) -> list[Event]:
    """Return the requests without a decision, in the order in which they were made."""
    found = [
        event
        for register in ASKS.values()
        for event in record.register(register).siblings
        if not is_decided(record, register, event.dot)
    ]
    return sorted(found, key=lambda e: (e.header.at, e.dot))


def stands(record: Record) -> Booking | None:
    """Return a booking as the hub's decisions left it; None: there was none yet."""
    last = max(_decisions(record), key=_when, default=None)
    if last is None:
        return None
    booking = _decision(last.body_bytes).booking
    expired = records.latest(record.register(EXPIRED))
    if booking.status is not Status.HELD or expired is None:
        return booking
    if _expired(expired.body_bytes).held_until_ms != booking.held_until_ms:
        return booking
    return msgspec.structs.replace(booking, status=Status.EXPIRED)


def revision(record: Record) -> int:
    """Return how often a decision, or a hold that ran out, changed the booking; it only rises."""
    changed = sum(
        decision.booking.changed_by == decision.request
        for decision in (_decision(event.body_bytes) for event in _decisions(record))
    )
    return changed + len(record.register(EXPIRED).siblings)


def created_ms(first: Event) -> int:
    """Return when the request that made a booking was made, by its author's clock."""
    return _ms(first)


def changed_ms(record: Record) -> int:
    """Return when anything was last said of it, by its author's clock."""
    return max(_ms(e) for register in record.registers.values() for e in register.siblings)


def shown(record: Record) -> Booking | None:
    """Return a booking as it is shown: requested, until the hub has decided."""
    booking = stands(record)
    first = created(record)
    if booking is not None or first is None:
        return booking
    slot = _create(first.body_bytes).slot
    return Booking(record.subject, Status.REQUESTED, slot, changed_by=first.dot)


def created(record: Record) -> Event | None:
    """Return the request that made the booking; of several under one id, the one that was granted.

    None was, or none is decided yet: the oldest.
    """
    asking = record.register(REQUESTED).siblings
    granted = (one for one in asking if len(asking) > 1 and _is_granted(record, one))
    return next(granted, None) or min(asking, key=_when, default=None)


def _is_granted(record: Record, request: Event) -> bool:
    decisions = record.register(decision_register(request.header.register, request.dot)).siblings
    return any(_decision(event.body_bytes).accepted for event in decisions)


def title(record: Record) -> str:
    """Return what it is for."""
    first = created(record)
    return _create(first.body_bytes).title if first else ""


def last_word(record: Record) -> Dot | None:
    """Return the request that changed the booking last, if those under way are granted."""
    waiting = [e for e in undecided(record) if e.header.register in (REQUESTED, "confirm", "move")]
    if waiting:
        return waiting[-1].dot
    booking = stands(record)
    return booking.changed_by if booking else None


def outside(record: Record) -> tuple[Reason, ...]:
    """Return why it lies outside rules that were changed later."""
    last = records.latest(record.register(FLAGGED))
    booking = stands(record)
    if last is None or booking is None or booking.status not in (Status.HELD, Status.CONFIRMED):
        return ()
    flagged = _flagged(last.body_bytes)
    return flagged.reasons if flagged.slot == booking.slot else ()


def is_overbooked(record: Record) -> bool:
    """Say whether there are more bookings than places when it is on, as decided or since."""
    booking = stands(record)
    if booking is not None and booking.overbooked:
        return True
    return any(reason.rule is Rule.CAPACITY for reason in outside(record))


def needs_attention(record: Record) -> bool:
    """Say whether a person has to look at it: it is outside the rules, or overbooked."""
    booking = stands(record)
    if booking is None or booking.status not in (Status.HELD, Status.CONFIRMED):
        return False
    return booking.overbooked or bool(outside(record))


def part_of(record: Record) -> PartOf | None:
    """Return the series it was made with."""
    last = records.latest(record.register(SERIES))
    return _part_of(last.body_bytes) if last else None


def source(record: Record) -> str | None:
    """Return the calendar whose busy time it is; None: somebody asked for it."""
    last = records.latest(record.register(IMPORTED))
    return _imported(last.body_bytes).source if last else None


def asked(record: Record) -> tuple[Asked, ...]:
    """Return what was asked about a booking, oldest first."""
    found: dict[Dot, Asked] = {}
    for event in _decisions(record):
        register, dot = _decided(event)
        decision = _decision(event.body_bytes)
        asked_ms = decision.asked_ms
        asked_ms = _ms(event) if asked_ms is None else asked_ms
        found[dot] = Asked(register, dot, asked_ms, decision.actor, None, decision)
    for register in ASKS.values():
        for event in record.register(register).siblings:
            known = found.get(event.dot)
            decision_known = known.decision if known else None
            found[event.dot] = Asked(
                register,
                event.dot,
                _ms(event),
                event.header.actor,
                request_of(event),
                decision_known,
            )
    return tuple(sorted(found.values(), key=lambda a: (a.at_ms, a.dot)))


def _decisions(record: Record) -> Iterator[Event]:
    for name, register in record.registers.items():
        if name.startswith(f"{DECIDED}."):
            yield from register.siblings


def _decided(event: Event) -> tuple[str, Dot]:
    """Return which request a decision is about."""
    _, register, dot = event.header.register.split(".", 2)
    origin, _, seq = dot.rpartition(":")
    return register, Dot(origin, int(seq))


def _when(event: Event) -> tuple[int, Dot]:
    return event.header.at, event.dot


def _ms(event: Event) -> int:
    return at_ms(event.header.at)


# ------------------------------------------------------------------ the kind


def _judge(event: Event, body: Any, _record: Callable[[], Record], is_hub: bool) -> str | None:
    header = event.header
    if not _uuid7.match(header.subject):
        return "the id of a booking is a UUIDv7"
    register = ASKS.get(type(body))
    if register is None:
        return None if is_hub else f"only the hub writes {header.kind}"
    if header.register != register:
        return f"{header.kind} does not change register {header.register}"
    if isinstance(body, Create | Move):
        times = (body.slot.start_ms, body.slot.end_ms)
        if any(not -TIME_MAX < ms < TIME_MAX for ms in times):
            return "a time that no clock will ever show"
    return None


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.msgpack.decode(event.body_bytes)


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a booking has no conflicts to resolve")


_TABLE = Table(
    "bookings",
    (
        "id",
        "site",
        "status",
        "begins",
        "ends",
        "held_until",
        "requester",
        "series",
        "undecided",
        "flagged",
        "source",
    ),
    counter=Counter("booking_counts", ("status",)),
)
_PLACES = Table(
    "booking_places",
    ("booking", "resource", "begins", "ends", "status", "held_until"),
    key=2,
)


def _row(record: Record) -> Row:
    booking = shown(record)
    slot = booking.slot if booking else None
    first = created(record)
    series = part_of(record)
    return (
        record.subject,
        record.site,
        booking.status.value if booking else Status.REQUESTED.value,
        _column(slot.start_ms) if slot else None,
        _column(slot.end_ms) if slot else None,
        booking.held_until_ms if booking and booking.status is Status.HELD else None,
        first.header.actor if first else None,
        series.series if series else None,
        len(undecided(record)),
        1 if needs_attention(record) else 0,
        source(record),
    )


def _column(ms: int) -> int:
    """Return a time as a column holds it; what is beyond is refused, but stored before that."""
    return max(-TIME_MAX, min(TIME_MAX, ms))


def _places(record: Record) -> tuple[Row, ...]:
    booking = shown(record)
    if booking is None or booking.slot is None:
        return ()
    slot = booking.slot
    begins, ends = _column(slot.start_ms), _column(slot.end_ms)
    held_until = booking.held_until_ms if booking.status is Status.HELD else None
    return tuple(
        (record.subject, name, begins, ends, booking.status.value, held_until)
        for name in dict.fromkeys(slot.resources)
    )


def _no_side_rows(_event: Event, _body: object) -> tuple[SideRow, ...]:
    return ()


def _askers(record: Record) -> tuple[str, ...]:
    """Return the devices that asked for something; they hear of it however far ahead it is."""
    found = {
        device_of(event.header.origin)
        for register in ASKS.values()
        for event in record.register(register).siblings
    }
    found |= {device_of(_decided(event)[1].origin) for event in _decisions(record)}
    return tuple(sorted(found))


def _window(record: Record) -> Interval | None:
    """Return when it concerns everybody; one that was cancelled before it came, as it was asked.

    In the batch that brings both it was requested for a moment, and may have been told as such.
    """
    booking, first = shown(record), created(record)
    slot = booking.slot if booking else None
    if slot is None and first is not None:
        slot = _create(first.body_bytes).slot
    if slot is None:
        return None
    return Interval(slot.start_ms - NEAR_MS, slot.end_ms + KEPT_MS)


def _nobody(_record: Record) -> tuple[str, ...]:
    return ()


BOOKING = Kind(
    name="booking",
    lane=Lane.CONTROL,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=_TABLE,
    row=_row,
    parts=_PLACES,
    part_rows=_places,
    side_rows=_no_side_rows,
    devices=_askers,
    window=_window,
    related=_nobody,
)
