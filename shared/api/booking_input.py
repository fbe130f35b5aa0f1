"""What people ask of bookings, read: times with an offset, or by the clock of the resources."""

import datetime
import enum
from collections.abc import Iterable
from typing import Annotated

import msgspec

from shared.api.booking_view import SlotView, in_the_way, slot_view
from shared.api.conditional import Seen
from shared.core.booking import local_time
from shared.core.booking import slot as slots
from shared.core.booking.booking import (
    ALTERNATIVES_MAX,
    HOLD_S_MAX,
    Confirm,
    Create,
    Decision,
    Miss,
    Move,
    Text,
)
from shared.core.booking.decision import World
from shared.core.booking.groups import resolve
from shared.core.booking.local_time import MINUTE_MS
from shared.core.booking.reason import Reason
from shared.core.booking.series import OCCURRENCES_MAX, RULE_CHARS_MAX, Policy
from shared.core.booking.slot import LENGTH_MS_MAX, RESOURCES_MAX, Slot
from shared.core.event import Dot
from shared.core.ids import Name, Uuid7
from shared.core.kinds import booking as bookings
from shared.core.record import Record
from shared.core.vector import Vector
from shared.errors import Clash, Invalid, Refused
from shared.store.transaction import Reading

MINUTES_MAX = LENGTH_MS_MAX // MINUTE_MS
YEAR_MIN, YEAR_MAX = 1970, 9988
REASONS_SAID = 3  # in a sentence; a program gets them all

Time = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=MINUTES_MAX)]
Names = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=RESOURCES_MAX)]
HoldS = Annotated[int, msgspec.Meta(ge=1, le=HOLD_S_MAX)]
Alternatives = Annotated[int, msgspec.Meta(ge=0, le=ALTERNATIVES_MAX)]
Title = Text
NEVER = Dot("", 0)  # names no request: whoever saw that has not seen the booking as it is


class NewStatus(enum.StrEnum):
    """What ``PATCH`` can make of a booking."""

    CONFIRMED = "confirmed"
    NO_SHOW = "no-show"


class MovedOccurrence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One occurrence at another time; both by the clock of the resources."""

    original: Time
    start: Time


class NewSeries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A series of bookings; times by the clock of the resources.

    Attributes:
        start: Of the first occurrence.
        rule: An RRULE with COUNT or UNTIL.
        policy: What becomes of it if some occurrences do not fit.
        without: Occurrences that are left out.
        moved: Occurrences at other times.
    """

    start: Time
    minutes: Minutes
    rule: Annotated[str, msgspec.Meta(max_length=RULE_CHARS_MAX)]
    policy: Policy = Policy.ALL
    without: Annotated[tuple[Time, ...], msgspec.Meta(max_length=OCCURRENCES_MAX)] = ()
    moved: Annotated[tuple[MovedOccurrence, ...], msgspec.Meta(max_length=OCCURRENCES_MAX)] = ()


class NewBooking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/bookings``.

    Attributes:
        resources: Resources and groups, all of them or nothing.
        resource: Short for one.
        start: With an offset, or by the clock of the resources.
        end: The same; or give ``minutes``.
        hold_s: Only hold it for so long, to be confirmed.
        alternatives: How many other slots to name if it is refused.
        id: Makes the request repeatable anywhere.
        series: Instead of start, end and minutes; at the hub.
        anyway: Agent: ask the hub though this node thinks that it cannot be.
    """

    resources: Annotated[tuple[Name, ...], msgspec.Meta(max_length=RESOURCES_MAX)] = ()
    resource: Name | None = None
    start: Time | None = None
    end: Time | None = None
    minutes: Minutes | None = None
    title: Title = ""
    hold_s: HoldS | None = None
    alternatives: Alternatives = 3
    id: Uuid7 | None = None
    site: Name | None = None
    series: NewSeries | None = None
    anyway: bool = False


class BookingChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PATCH``: move it, or give it another status."""

    resources: Names | None = None
    start: Time | None = None
    end: Time | None = None
    minutes: Minutes | None = None
    status: NewStatus | None = None
    alternatives: Alternatives = 3
    seen: Seen | None = None
    anyway: bool = False


def names(asked: NewBooking) -> tuple[str, ...]:
    """Return what is to be booked.

    Raises:
        Invalid: Nothing, or said in two ways.
    """
    if bool(asked.resources) == (asked.resource is not None):
        message = "give resources, or resource for a single one"
        raise Invalid(message, (("$.resources", message),))
    return asked.resources or (asked.resource or "",)


def create(asked: NewBooking, world: World) -> Create:
    """Return a request for a booking.

    Raises:
        Invalid: No start.
        Refused: Its times are none.
    """
    if asked.start is None:
        raise Invalid("start is missing", (("$.start", "required"),))
    wanted = slot(names(asked), asked.start, asked.end, asked.minutes, world)
    return Create(wanted, asked.hold_s, asked.alternatives, asked.title)


def moved(asked: BookingChange, now: Slot, world: World) -> Slot:
    """Return the slot of a booking that moves: what is left out stays."""
    wanted = tuple(sorted(set(asked.resources or now.resources)))
    zone = zone_of(wanted, world)
    start_ms = now.start_ms if asked.start is None else instant(asked.start, zone, "$.start")
    if asked.end is None and asked.minutes is None:
        until = start_ms + now.end_ms - now.start_ms
    else:
        until = end_ms(start_ms, asked.end, asked.minutes, zone)
    found = Slot(wanted, start_ms, until)
    slots.check(found.start_ms, found.end_ms)
    return found


def request_of(
    asked: BookingChange, record: Record, seen: Vector | None, world: World
) -> Confirm | Miss | Move:
    """Return what a change asks for.

    Args:
        asked: As it came.
        record: Of the booking.
        seen: What the caller had read of it; None: what this node shows.
        world: Of its site.

    Raises:
        Invalid: Nothing is to change, or two things are.
        Refused: Its times are none.
    """
    is_move = any(v is not None for v in (asked.resources, asked.start, asked.end, asked.minutes))
    if is_move == (asked.status is not None):
        message = "give another time or other resources, or a status, and not both"
        raise Invalid(message, (("$.status", message),))
    last = bookings.last_word(record)
    if last is not None and seen is not None and seen.get(last.origin, 0) < last.seq:
        last = NEVER
    if asked.status is NewStatus.NO_SHOW:
        return Miss()
    if asked.status is NewStatus.CONFIRMED:
        return Confirm(last)
    booking = bookings.shown(record)
    if booking is None or booking.slot is None:
        raise Clash(f"booking {record.subject} was cancelled before it came; make a new one")
    return Move(moved(asked, booking.slot, world), last or NEVER, asked.alternatives)


def instant(text: str, zone: datetime.tzinfo | None, path: str) -> int:
    """Return a time as it was written, Unix ms.

    Args:
        text: RFC 3339, or without an offset.
        zone: In which it is then read; None: none is known.
        path: Where it stands in the request.

    Raises:
        Refused: It is none, or one that does not exist or exists twice in the zone.
    """
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            f"{text!r} is no time; write 2026-12-01T14:00:00+01:00, or 2026-12-01T14:00 by the "
            "clock of the resource",
            ((path, "no time"),),
        ) from error
    if moment.tzinfo is None and zone is None:
        raise Refused(
            f"{text!r} says no offset from UTC, and the resources named have no clock in common; "
            "check their ids, or add the offset",
            ((path, "naive time"),),
        )
    if moment.tzinfo is not None or zone is None:
        return local_time.instant(text, path)
    return local_time.by_person(wall(moment, path), zone, None, path)


def wall(moment: datetime.datetime, path: str) -> datetime.datetime:
    """Return a local time, in whole milliseconds.

    Raises:
        Refused: So near the ends of the calendar that its zone cannot be asked.
    """
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        text = f"the year {moment.year} is outside {YEAR_MIN} to {YEAR_MAX}; check the date"
        raise Refused(text, ((path, "out of range"),))
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def zone_of(names: Iterable[str], world: World) -> datetime.tzinfo | None:
    """Return the zone that resources share; None: they do not, or none of them is known."""
    found = {
        world.resources[name].calendar.zone
        for name in resolve(names, world.groups)
        if name in world.resources
    }
    return found.pop() if len(found) == 1 else None


def end_ms(
    start_ms: int, end: str | None, minutes: int | None, zone: datetime.tzinfo | None
) -> int:
    """Return the end of a booking, given as such or by its length.

    Raises:
        Invalid: Neither or both.
    """
    if (end is None) == (minutes is None):
        message = "give end or minutes, and not both"
        raise Invalid(message, (("$.end", message),))
    if minutes is not None:
        return start_ms + minutes * MINUTE_MS
    assert end is not None
    return instant(end, zone, "$.end")


def slot(
    names: Iterable[str], start: str, end: str | None, minutes: int | None, world: World
) -> Slot:
    """Return the slot that is asked for, groups as they were named.

    Raises:
        Refused: Its times are none.
    """
    wanted = tuple(sorted(set(names)))
    zone = zone_of(wanted, world)
    start_ms = instant(start, zone, "$.start")
    found = Slot(wanted, start_ms, end_ms(start_ms, end, minutes, zone))
    slots.check(found.start_ms, found.end_ms)
    return found


def refusal(
    reading: Reading, world: World, reasons: tuple[Reason, ...], alternatives: Iterable[Slot]
) -> Clash:
    """Return a 409 that names what is in the way, and what would do."""
    said = "; ".join(reason.text for reason in reasons[:REASONS_SAID])
    if len(reasons) > REASONS_SAID:
        said += f"; and {len(reasons) - REASONS_SAID} more"
    others: tuple[SlotView, ...] = tuple(slot_view(s, world.resources) for s in alternatives)
    return Clash(
        said,
        reasons=reasons,
        conflicts=tuple(in_the_way(reasons, reading)),
        alternatives=others,
    )


def require(reading: Reading, world: World, decision: Decision) -> None:
    """Demand that a decision says yes.

    Raises:
        Clash: It says no.
    """
    if not decision.accepted:
        raise refusal(reading, world, decision.reasons, decision.alternatives)
