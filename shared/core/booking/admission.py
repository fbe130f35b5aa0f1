"""Whether one booking fits, and every reason why not."""

from collections.abc import Iterator

from shared.core.booking import grid, hours, local_time, taken
from shared.core.booking import slot as slots
from shared.core.booking.interval import Interval
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resource, Resources
from shared.core.booking.slot import Slot
from shared.core.booking.taken import Busy

NAMED_MAX = 5  # bookings that a sentence names; a program gets them all


def reasons(
    slot: Slot, resources: Resources, busy: Busy, now_ms: int, *, ignore: str | None = None
) -> tuple[Reason, ...]:
    """Return every reason why a booking does not fit; none: it does.

    Args:
        slot: What is asked for.
        resources: By name; those that do not exist are missing.
        busy: Their bookings.
        now_ms: Wall clock, Unix ms.
        ignore: Id of the booking that moves: it is not in its own way.
    """
    flaw = slots.flaw(slot.start_ms, slot.end_ms)
    if flaw is not None:
        return (flaw,)
    found: list[Reason] = []
    for name in slot.resources:
        if name in resources:
            found += _reasons_at(resources[name], slot.interval, busy, now_ms, ignore)
        else:
            found.append(unknown(name))
    return tuple(found)


def unknown(name: str) -> Reason:
    """Return the reason that there is no such resource."""
    return Reason(Rule.UNKNOWN, f"there is no resource {name}; see the list of resources", name)


def closed(resource: Resource, asked: Interval) -> Reason | None:
    """Return why a time is outside the hours; None: all of it is within."""
    calendar = resource.calendar
    if any(o.covers(asked) for o in calendar.open(asked.start_ms, asked.end_ms)):
        return None
    date = local_time.day(asked.start_ms, calendar.zone)
    begin, end = (local_time.text(ms, calendar.zone) for ms in (asked.start_ms, asked.end_ms))
    open_then = ", ".join(hours.text(span) for span in calendar.hours(date))
    note = f" ({calendar.notes[date]})" if date in calendar.notes else ""
    if open_then:
        text = f"open {open_then} that day{note}; choose a time within"
    else:
        text = f"closed that day{note}; choose another day"
    return Reason(Rule.HOURS, f"{resource.id} from {begin} to {end}: {text}", resource.id)


def _reasons_at(
    resource: Resource, asked: Interval, busy: Busy, now_ms: int, ignore: str | None
) -> Iterator[Reason]:
    late = _horizon(resource, asked, now_ms)
    if late is not None:
        yield late
        return  # what is open so far ahead is not settled, nor is who else comes
    found = (
        _notice(resource, asked, now_ms),
        closed(resource, asked),
        _off_grid(resource, asked),
        _capacity(resource, asked, busy, ignore),
    )
    yield from (reason for reason in found if reason is not None)


def _horizon(resource: Resource, asked: Interval, now_ms: int) -> Reason | None:
    last = resource.bookable(now_ms).end_ms
    if asked.end_ms <= last:
        return None
    until = local_time.text(last, resource.calendar.zone)
    text = f"{resource.id} can be booked until {until} so far; choose an earlier time"
    return Reason(Rule.HORIZON, text, resource.id)


def _notice(resource: Resource, asked: Interval, now_ms: int) -> Reason | None:
    first = resource.bookable(now_ms).start_ms
    if asked.start_ms >= first:
        return None
    remedy = f"begin at {local_time.text(first, resource.calendar.zone)} or later"
    if asked.start_ms < now_ms:
        text = f"{resource.id}: the start has passed; {remedy}"
    else:
        text = f"{resource.id} needs {resource.limits.notice_s // 60} minutes' notice; {remedy}"
    return Reason(Rule.NOTICE, text, resource.id)


def _off_grid(resource: Resource, asked: Interval) -> Reason | None:
    step = resource.limits.grid
    following = grid.following(step, resource.calendar, asked.start_ms)
    if step is None or following == asked.start_ms:
        return None
    next_start = local_time.text(following, resource.calendar.zone)
    text = (
        f"{resource.id} begins every {step.minutes} minutes from {step.anchor}; "
        f"the next start is {next_start}"
    )
    return Reason(Rule.GRID, text, resource.id)


def _capacity(resource: Resource, asked: Interval, busy: Busy, ignore: str | None) -> Reason | None:
    limits = resource.limits
    wanted = taken.occupied(limits, asked.start_ms, asked.end_ms)
    there = taken.occupying(resource.id, limits, busy, wanted, ignore)
    # Each of these overlaps what is wanted, so if any share an instant, they share one within it.
    crowd = sorted(taken.crowd(there, limits.capacity))
    if not crowd:
        return None
    named = ", ".join(crowd[:NAMED_MAX]) + (" and others" if len(crowd) > NAMED_MAX else "")
    places = "its only place is" if limits.capacity == 1 else f"all {limits.capacity} places are"
    text = f"{resource.id}: {places} taken by {named}; choose another time or resource"
    return Reason(Rule.CAPACITY, text, resource.id, tuple(crowd))
