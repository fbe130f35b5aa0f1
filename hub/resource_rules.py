"""What a resource's new rules mean for the bookings there are: flagged, never undone. In SQL.

Public holidays are found before the transaction, and come with the hours that name a region.
"""

import msgspec

from hub import deciding, zone_digest
from shared.api.booking_world import BOOKING, RESOURCE, Busy, world
from shared.core.booking import rules
from shared.core.booking.affected import Affected, affected
from shared.core.booking.booking import Cancel
from shared.core.booking.groups import Group, resolve
from shared.core.booking.hours import Week
from shared.core.booking.reason import Reason
from shared.core.booking.rules import Hours, Limits
from shared.core.booking.slot import TIME_MS_MAX
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.kinds.resource import PublicHolidays
from shared.core.vector import Vector
from shared.errors import Clash, Refused
from shared.store.transaction import Transaction

FLAGGED = """SELECT b.id FROM bookings b JOIN booking_places p ON p.booking = b.id
    WHERE b.flagged = 1 AND p.resource = $1"""


def append(
    tx: Transaction,
    *,
    site: str,
    name: str,
    body: msgspec.Struct,
    actor: str,
    seen: Vector | None = None,
) -> None:
    """Write one register of a resource."""
    register = resources.REGISTERS[type(body)]
    tx.append(
        site=site,
        kind=f"{RESOURCE}.{register}",
        subject=name,
        register=register,
        body=body,
        actor=actor,
        seen=seen,
    )


def change(
    tx: Transaction,
    *,
    site: str,
    name: str,
    actor: str,
    hours: Hours | None = None,
    limits: Limits | None = None,
    holidays: PublicHolidays | None = None,
    seen: Vector | None = None,
) -> tuple[Affected, ...]:
    """Write new rules of a resource; return which bookings lie outside them now.

    Raises:
        Refused: The rules are at fault; says where.
    """
    known = resources.read(tx.record(RESOURCE, name))
    rules.check(
        hours or (known.hours if known else None) or Hours("UTC", Week()),
        limits or (known.limits if known else None) or Limits(),
    )
    before = known.holidays if known else None
    if holidays == before:
        holidays = None
    if hours is not None:
        zone_digest.note(tx, hours.timezone)
    for body in (hours, limits, holidays):
        if body is not None:
            append(tx, site=site, name=name, body=body, actor=actor, seen=seen)
    return look(tx, name)


def look(tx: Transaction, name: str) -> tuple[Affected, ...]:
    """Flag the bookings ahead that lie outside a resource's rules, and no others."""
    resource = resources.ready(tx.record(RESOURCE, name))
    if resource is None:
        return ()
    ahead = Busy(tx, tx.now_ms, and_requested=False)(name, tx.now_ms, TIME_MS_MAX)

    def stands(booking: str) -> bool:
        # Busy times of a calendar were never held against the rules.
        return bookings.source(tx.record(BOOKING, booking)) is not None

    found = tuple(affected(resource, ahead, tx.now_ms, stands=stands))
    reasons: dict[str, list[Reason]] = {}
    for one in found:
        reasons.setdefault(one.booking, []).append(one.reason)
    for (booking_id,) in tx.query(FLAGGED, name):
        reasons.setdefault(booking_id, [])
    for booking_id in sorted(reasons):
        others = bookings.outside(tx.record(BOOKING, booking_id))
        kept = tuple(reason for reason in others if reason.resource != name)
        deciding.flag(tx, booking_id, (*kept, *reasons[booking_id]))
    return found


def set_members(
    tx: Transaction, *, site: str, name: str, members: Group, actor: str, seen: Vector | None = None
) -> None:
    """Write the members of a group.

    Raises:
        Refused: It would contain itself, too many, or what does not exist.
    """
    append(tx, site=site, name=name, body=members, actor=actor, seen=seen)
    here = world(tx, site, tx.now_ms)
    missing = [one for one in resolve((name,), here.groups) if one not in here.resources]
    if missing:
        text = f"there is no resource {', '.join(missing)}; create it first, or leave it out"
        raise Refused(text, (("$.members", "unknown"),))


def retire(
    tx: Transaction, *, site: str, name: str, actor: str, cancel: bool, seen: Vector | None = None
) -> None:
    """Take a resource out of use; what is booked ahead is cancelled first, or in the way.

    Raises:
        Clash: There are bookings ahead, and they are not to be cancelled; or a group names it.
    """
    groups = world(tx, site, tx.now_ms).groups
    above = sorted(group for group in groups if name in groups[group].members)
    if above:
        text = f"{name} is a member of {', '.join(above)}; take it out there first"
        raise Clash(text)
    busy = Busy(tx, tx.now_ms, and_requested=False)
    ahead = [booking for _, _, booking in busy(name, tx.now_ms, TIME_MS_MAX)]
    if ahead and not cancel:
        raise Clash(
            f"{name} has {len(ahead)} bookings ahead; move them, or cancel them with cancel=true",
            bookings=len(ahead),
        )
    for booking_id in ahead:
        reason = Cancel(f"{name} is no longer there")
        deciding.ask(
            tx, site=site, booking_id=booking_id, body=reason, actor=actor, of_calendars=True
        )
    retired = resources.Retired(retired=True)
    append(tx, site=site, name=name, body=retired, actor=actor, seen=seen)
