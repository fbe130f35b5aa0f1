"""Busy times of a calendar as bookings: all of one source replaced by those of a newer file.

They are no requests: somebody is away, whatever hours, notice or capacity say. So they are written
as confirmed, and whom they displace stands, flagged as overbooked; a person decides.
"""

from collections.abc import Callable, Sequence

import msgspec

from hub import deciding, resource_rules
from shared.api.booking_world import BOOKING
from shared.core.booking.booking import Booking, Cancel, Create, Decision
from shared.core.booking.interval import Interval
from shared.core.booking.reason import Rule
from shared.core.booking.resource import Resource
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.kinds import booking as bookings
from shared.store.transaction import Transaction

OF_SOURCE = """SELECT b.id, b.begins, b.ends FROM bookings b
    JOIN booking_places p ON p.booking = b.id AND p.resource = $2
    WHERE b.source = $1 AND b.ends > $3 AND b.begins < $4 AND b.status = 'confirmed'"""


class Read(msgspec.Struct, frozen=True):
    """What a calendar says.

    Attributes:
        busy: Merged, in order, none longer than a booking may be.
        events: How many events say so.
        ignored: How many do not: cancelled, transparent.
    """

    busy: tuple[Interval, ...]
    events: int
    ignored: int


class Imported(msgspec.Struct, frozen=True):
    """What an import changed; bookings by id.

    Attributes:
        added: How many busy times are new.
        kept: How many were there.
        removed: How many are no longer.
        in_the_way: Other bookings ahead for which there is no place any more, flagged as such.
    """

    added: int
    kept: int
    removed: int
    in_the_way: tuple[str, ...]


def replace(
    tx: Transaction,
    *,
    site: str,
    resource: Resource,
    source: str,
    busy: Sequence[Interval],
    window: Interval,
    actor: str,
    new_id: Callable[[], str],
) -> Imported:
    """Have these busy times, and no others of this source within a window."""
    rows = tx.query(OF_SOURCE, source, resource.id, window.start_ms, window.end_ms)
    there = {Interval(begins, ends): booking_id for booking_id, begins, ends in rows}
    wanted = {Interval(max(one.start_ms, window.start_ms), one.end_ms) for one in busy}
    # What is on as the window begins was written with the start that it had then.
    running = {one.end_ms: one for one in there if one.start_ms < window.start_ms}
    kept = {one for one in wanted if one in there}
    for one in wanted - kept:
        if one.start_ms == window.start_ms and one.end_ms in running:
            kept |= {one, running[one.end_ms]}
    gone = [there[one] for one in there if one not in kept]
    new = sorted(wanted - kept)
    _cancel(tx, site, source, gone, actor)
    for one in new:
        _write(tx, site, resource.id, source, one, actor, new_id())
    found = resource_rules.look(tx, resource.id)
    crowd = tuple(sorted(one.booking for one in found if one.reason.rule is Rule.CAPACITY))
    return Imported(len(new), len(kept & wanted), len(gone), crowd)


def _cancel(tx: Transaction, site: str, source: str, gone: Sequence[str], actor: str) -> None:
    asking = []
    for booking_id in gone:
        tx.begin_part()
        event = tx.append(
            site=site,
            kind=f"{BOOKING}.cancel",
            subject=booking_id,
            register=bookings.ASKS[Cancel],
            body=Cancel(f"no longer in {source}"),
            actor=actor,
        )
        asking.append(event)
    if asking:
        deciding.decide_events(tx, asking, site, of_calendars=True)


def _write(
    tx: Transaction,
    site: str,
    resource: str,
    source: str,
    busy: Interval,
    actor: str,
    booking_id: str,
) -> None:
    """Write a busy time as a booking of its own."""
    tx.begin_part()
    tx.append(
        site=site,
        kind=f"{BOOKING}.{bookings.IMPORTED}",
        subject=booking_id,
        register=bookings.IMPORTED,
        body=bookings.Imported(source),
        actor=actor,
    )
    slot = Slot((resource,), busy.start_ms, busy.end_ms)
    event = tx.append(
        site=site,
        kind=f"{BOOKING}.{bookings.REQUESTED}",
        subject=booking_id,
        register=bookings.REQUESTED,
        body=Create(slot, alternatives=0, title=source),
        actor=actor,
    )
    made = Booking(booking_id, Status.CONFIRMED, slot, changed_by=event.dot)
    deciding.write(tx, event, Decision(event.dot, True, made), site)
