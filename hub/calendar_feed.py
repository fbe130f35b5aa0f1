"""What a calendar shows of bookings: those of a resource or a person, in a bounded window."""

import datetime
from collections.abc import Iterator, Sequence

import msgspec

from shared.api.booking_view import zone_of
from shared.api.booking_world import BOOKING, RESOURCE, Resources, world
from shared.api.bookings import listed
from shared.api.problem import not_found
from shared.core.booking import local_time, taken
from shared.core.booking.groups import resolve
from shared.core.booking.interval import Interval, merged
from shared.core.booking.local_time import DAY
from shared.core.booking.status import Status
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.kinds.booking import DAY_MS
from shared.store import records
from shared.store.transaction import Reading

BACK = 31 * DAY
AHEAD = 400 * DAY
FREE_BUSY_AHEAD = 93 * DAY
EVENTS_MAX = 5000  # of one calendar, the earliest; some 2 MB
GONE_MS = 30 * DAY_MS  # what was cancelled is told so long: programs that look once a week hear it
SHOWN = (
    Status.REQUESTED,
    Status.HELD,
    Status.CONFIRMED,
    Status.NO_SHOW,
    Status.CANCELLED,
    Status.EXPIRED,
)
_GONE = frozenset({Status.CANCELLED, Status.EXPIRED})


class Entry(msgspec.Struct, frozen=True):
    """A booking as a calendar shows it.

    Attributes:
        revision: Rises with each change.
        zone: In which its times are told; None: in UTC.
    """

    id: str
    revision: int
    status: Status
    start_ms: int
    end_ms: int
    title: str
    resources: tuple[str, ...]
    requester: str | None
    zone: datetime.tzinfo | None
    created_ms: int
    changed_ms: int


class Feed(msgspec.Struct, frozen=True):
    """A calendar: its name, and its bookings by start."""

    name: str
    entries: tuple[Entry, ...]


class FreeBusy(msgspec.Struct, frozen=True):
    """When something or somebody is taken, and nothing of by what.

    Attributes:
        window: What is told of.
        busy: Merged, in order.
        tentative: Likewise: held, or not decided.
    """

    name: str
    window: Interval
    busy: tuple[Interval, ...]
    tentative: tuple[Interval, ...] = ()


def of_resource(reading: Reading, name: str, now_ms: int) -> Feed:
    """Return the calendar of a resource or a group."""
    title, names, zone = _place(reading, name, now_ms)
    window = _window(now_ms, zone, BACK, AHEAD)
    return Feed(title, tuple(_entries(reading, names, None, window, now_ms)))


def of_person(reading: Reading, person: str, now_ms: int) -> Feed:
    """Return the calendar of what a person asked for."""
    window = _window(now_ms, datetime.UTC, BACK, AHEAD)
    return Feed(person, tuple(_entries(reading, (), person, window, now_ms)))


def free_busy_of_resource(reading: Reading, name: str, now_ms: int) -> FreeBusy:
    """Return when a resource has no place left, or any of a group; buffers are no free time."""
    title, names, zone = _place(reading, name, now_ms)
    window = _window(now_ms, zone, datetime.timedelta(0), FREE_BUSY_AHEAD)
    here = world(reading, reading.record(RESOURCE, name).site, now_ms)
    found: list[Interval] = []
    for member in names:
        if member in here.resources:
            limits = here.resources[member].limits
            there = taken.occupying(member, limits, here.busy, window)
            found += taken.full((occupation for occupation, _ in there), limits.capacity)
    return FreeBusy(title, window, tuple(_within(window, found)))


def free_busy_of_person(reading: Reading, person: str, now_ms: int) -> FreeBusy:
    """Return when a person has booked something."""
    window = _window(now_ms, datetime.UTC, datetime.timedelta(0), FREE_BUSY_AHEAD)
    found = list(_entries(reading, (), person, window, now_ms))
    by_status = {
        status: [Interval(e.start_ms, e.end_ms) for e in found if e.status is status]
        for status in (Status.REQUESTED, Status.HELD, Status.CONFIRMED)
    }
    maybe = by_status[Status.REQUESTED] + by_status[Status.HELD]
    sure = by_status[Status.CONFIRMED]
    return FreeBusy(person, window, tuple(_within(window, sure)), tuple(_within(window, maybe)))


def _place(
    reading: Reading, name: str, now_ms: int
) -> tuple[str, tuple[str, ...], datetime.tzinfo]:
    """Return what a resource or group is called, its members, and their zone."""
    held = reading.record(RESOURCE, name)
    found = resources.read(held)
    if found is None:
        not_found(RESOURCE, name)
    here = world(reading, held.site, now_ms)
    names = resolve((name,), here.groups)
    return found.name or name, names, zone_of(names, here.resources) or datetime.UTC


def _window(
    now_ms: int, zone: datetime.tzinfo, back: datetime.timedelta, ahead: datetime.timedelta
) -> Interval:
    """Return whole local days, so that a calendar is another only if a booking is."""
    today = local_time.day(now_ms, zone)
    return Interval(
        local_time.midnight(today - back, zone), local_time.midnight(today + ahead, zone)
    )


def _entries(
    reading: Reading, names: Sequence[str], person: str | None, window: Interval, now_ms: int
) -> Iterator[Entry]:
    times = (window.start_ms, window.end_ms)
    found = listed(reading, tuple(names), person, times, SHOWN, limit=EVENTS_MAX)
    ids = [booking_id for _, booking_id in found]
    held = records.load_many(reading.db, BOOKING, ids)
    known: dict[str, Resources] = {}
    for record in (held[booking_id] for booking_id in ids if booking_id in held):
        booking, first = bookings.shown(record), bookings.created(record)
        if booking is None or booking.slot is None or first is None:
            continue
        if bookings.source(record) is not None:
            continue  # whoever subscribes has that calendar already, or is not to see it
        status = booking.status
        if status is Status.HELD and not booking.blocks(now_ms):
            status = Status.EXPIRED  # nobody was awake to say so
        changed_ms = bookings.changed_ms(record)
        if status in _GONE and changed_ms < now_ms - GONE_MS:
            continue
        here = known.setdefault(record.site, Resources(reading, record.site))
        slot = booking.slot
        yield Entry(
            id=record.subject,
            revision=bookings.revision(record),
            status=status,
            start_ms=slot.start_ms,
            end_ms=slot.end_ms,
            title=bookings.title(record),
            resources=slot.resources,
            requester=first.header.actor,
            zone=zone_of(slot.resources, here),
            created_ms=bookings.created_ms(first),
            changed_ms=changed_ms,
        )


def _within(window: Interval, found: list[Interval]) -> Iterator[Interval]:
    for one in merged(sorted(found)):
        start, end = max(one.start_ms, window.start_ms), min(one.end_ms, window.end_ms)
        if start < end:
            yield Interval(start, end)
