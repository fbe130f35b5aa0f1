"""Routes by which resources are made, given hours and limits, and retired: at the hub only."""

import datetime
from functools import partial
from typing import Annotated, Literal

import msgspec

from hub import public_holidays, resource_rules
from shared.api import body as bodies
from shared.api import conditional, idempotency
from shared.api.booking_world import RESOURCE
from shared.api.conditional import Precondition, Seen
from shared.api.problem import not_found
from shared.api.resources import HoursView, ResourceView, single, single_hours
from shared.api.route import Answer, Call, Route
from shared.api.sites import choose
from shared.core.booking.affected import Affected
from shared.core.booking.groups import MEMBERS_MAX, Group
from shared.core.booking.hours import Spans
from shared.core.booking.rules import (
    EXCEPTIONS_MAX,
    ZONE_CHARS_MAX,
    Cause,
    Grid,
    Hours,
    Limits,
    Region,
    SpecialDays,
)
from shared.core.ids import Name
from shared.core.kinds import resource as kind
from shared.core.kinds.resource import NAME_MAX, TEXT_MAX, Bookable, PublicHolidays
from shared.core.vector import Vector
from shared.errors import Clash, Invalid, Refused
from shared.store.transaction import Transaction

Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]
Title = Annotated[str, msgspec.Meta(max_length=NAME_MAX)]
Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=ZONE_CHARS_MAX)]
Members = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1, max_length=MEMBERS_MAX)]


class NewWeek(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours by weekday, ``09:00-17:00``; a day left out is closed."""

    mon: Spans = ()
    tue: Spans = ()
    wed: Spans = ()
    thu: Spans = ()
    fri: Spans = ()
    sat: Spans = ()
    sun: Spans = ()


class NewDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local days that differ; no hours: closed."""

    first: datetime.date
    last: datetime.date | None = None
    hours: Spans = ()
    cause: Cause = Cause.LEAVE
    note: Annotated[str, msgspec.Meta(max_length=200)] = ""


class NewRegion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose public holidays close it: ISO 3166."""

    country: Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}$(?!\n)")]
    subdivision: Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9]{1,3}$(?!\n)")] | None = None


class NewHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a resource can be booked."""

    timezone: Zone
    week: NewWeek
    exceptions: Annotated[tuple[NewDay, ...], msgspec.Meta(max_length=EXCEPTIONS_MAX)] = ()
    holidays: NewRegion | None = None


class NewGrid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a booking may begin."""

    minutes: int
    anchor: Literal["midnight", "opening"] = "midnight"


class LimitsChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a resource can be booked; what is left out stays, or has its default."""

    capacity: int | msgspec.UnsetType = msgspec.UNSET
    before_s: int | msgspec.UnsetType = msgspec.UNSET
    after_s: int | msgspec.UnsetType = msgspec.UNSET
    notice_s: int | msgspec.UnsetType = msgspec.UNSET
    horizon_s: int | msgspec.UnsetType = msgspec.UNSET
    grid: NewGrid | msgspec.UnsetType | None = msgspec.UNSET


class WeekChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of some weekdays."""

    mon: Spans | msgspec.UnsetType = msgspec.UNSET
    tue: Spans | msgspec.UnsetType = msgspec.UNSET
    wed: Spans | msgspec.UnsetType = msgspec.UNSET
    thu: Spans | msgspec.UnsetType = msgspec.UNSET
    fri: Spans | msgspec.UnsetType = msgspec.UNSET
    sat: Spans | msgspec.UnsetType = msgspec.UNSET
    sun: Spans | msgspec.UnsetType = msgspec.UNSET


class HoursChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PATCH …/hours``: what is left out stays."""

    timezone: Zone | msgspec.UnsetType = msgspec.UNSET
    week: WeekChange = WeekChange()
    holidays: NewRegion | msgspec.UnsetType | None = msgspec.UNSET


class NewResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/resources``: with hours a resource, with members a group."""

    id: Name
    site: Name | None = None
    name: Title | None = None
    description: Text | None = None
    hours: NewHours | None = None
    limits: LimitsChange = LimitsChange()
    members: Members | None = None


class ResourceChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PATCH``: what is left out stays, ``null`` removes."""

    name: Title | msgspec.UnsetType | None = msgspec.UNSET
    description: Text | msgspec.UnsetType | None = msgspec.UNSET
    hours: NewHours | msgspec.UnsetType = msgspec.UNSET
    limits: LimitsChange | msgspec.UnsetType = msgspec.UNSET
    members: Members | msgspec.UnsetType = msgspec.UNSET
    seen: Seen | None = None


class RemoveResource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of ``DELETE``; ``cancel``: what is booked ahead too."""

    cancel: Literal["true", "false"] = "false"
    seen: Seen | None = None


class RemoveDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of ``DELETE …/hours``: the exception that begins on this day."""

    first: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d{2}-\d{2}$(?!\n)")]
    seen: Seen | None = None


# ------------------------------------------------------------------ whole resources


async def create(call: Call) -> Answer:
    """Make a resource, or a group of them."""
    asked = await bodies.read(call.request, NewResource)
    if asked.members is not None and asked.limits != LimitsChange():
        what = "a group has members, no limits; they are those of its members"
        raise Refused(what, (("$.limits", what),))
    if (asked.hours is None) == (asked.members is None):
        message = "give hours, or members for a group, and not both"
        raise Invalid(message, (("$.hours", message),))
    site = choose(call.context, asked.site)
    hours = _hours(asked.hours) if asked.hours else None
    holidays = _holidays(call, hours)
    return await idempotency.write(call, lambda tx: _create(tx, call, asked, site, hours, holidays))


async def change(call: Call) -> Answer:
    """Change a resource; bookings that lie outside its new rules are flagged."""
    asked = await bodies.read(call.request, ResourceChange)
    known = conditional.read(call.request, asked.seen)
    hours = None if asked.hours is msgspec.UNSET else _hours(asked.hours)
    holidays = _holidays(call, hours)
    return await idempotency.write(
        call, lambda tx: _change(tx, call, asked, known, hours, holidays)
    )


async def remove(call: Call) -> Answer:
    """Take a resource out of use."""
    asked = bodies.query(call.request, RemoveResource)
    known = conditional.read(call.request, asked.seen)

    def write(tx: Transaction) -> Answer:
        found, seen = _find(tx, call, known)
        cancel = asked.cancel == "true"
        resource_rules.retire(
            tx, site=found.site, name=call.id, actor=call.actor, cancel=cancel, seen=seen
        )
        return Answer(204)

    return await idempotency.write(call, write)


def _create(
    tx: Transaction,
    call: Call,
    asked: NewResource,
    site: str,
    hours: Hours | None,
    holidays: PublicHolidays | None,
) -> Answer:
    held = tx.record(RESOURCE, asked.id)
    if kind.read(held) is not None:
        raise Clash(f"resource {asked.id!r} exists; change it with PATCH")
    was_group = bool(held.register(kind.GROUP).siblings)
    if held.is_known and was_group != (hours is None):
        raise Clash(f"{asked.id!r} was something else once; take another id")
    append = partial(resource_rules.append, tx, site=site, name=asked.id, actor=call.actor)
    append(body=kind.Created())
    if kind.is_retired(held):  # back in use
        append(body=kind.Retired(retired=False))
    append(body=kind.Named(asked.name, asked.description))
    affected: tuple[Affected, ...] = ()
    if asked.members is not None:
        members = Group(asked.members)
        resource_rules.set_members(tx, site=site, name=asked.id, members=members, actor=call.actor)
    else:
        affected = resource_rules.change(
            tx,
            site=site,
            name=asked.id,
            actor=call.actor,
            hours=hours,
            limits=_limits(Limits(), asked.limits),
            holidays=holidays,
        )
    return single(tx, asked.id, status=201, location=True, affected=affected)


def _change(
    tx: Transaction,
    call: Call,
    asked: ResourceChange,
    known: Precondition,
    hours: Hours | None,
    holidays: PublicHolidays | None,
) -> Answer:
    found, seen = _find(tx, call, known)
    _must_fit(found, asked)
    name = found.name if asked.name is msgspec.UNSET else asked.name
    text = found.description if asked.description is msgspec.UNSET else asked.description
    if (name, text) != (found.name, found.description):
        named = kind.Named(name, text)
        resource_rules.append(
            tx, site=found.site, name=call.id, body=named, actor=call.actor, seen=seen
        )
    affected: tuple[Affected, ...] = ()
    if asked.members is not msgspec.UNSET:
        members = Group(asked.members)
        resource_rules.set_members(
            tx, site=found.site, name=call.id, members=members, actor=call.actor, seen=seen
        )
    if hours is not None or asked.limits is not msgspec.UNSET:
        limits = asked.limits
        affected = resource_rules.change(
            tx,
            site=found.site,
            name=call.id,
            actor=call.actor,
            hours=hours,
            limits=None if limits is msgspec.UNSET else _limits(found.limits or Limits(), limits),
            holidays=holidays,
            seen=seen,
        )
    return single(tx, call.id, affected=affected)


def _must_fit(found: Bookable, asked: ResourceChange) -> None:
    is_group = found.group is not None
    wrong = ("hours", "limits") if is_group else ("members",)
    for field in wrong:
        if getattr(asked, field) is not msgspec.UNSET:
            what = "a group has members" if is_group else "a resource has hours"
            raise Refused(f"{what}, no {field}", ((f"$.{field}", what),))


# ------------------------------------------------------------------ hours


async def put_hours(call: Call) -> Answer:
    """Replace the hours of a resource."""
    asked = await bodies.read(call.request, NewHours)
    return await _set_hours(call, None, _hours(asked))


async def patch_hours(call: Call) -> Answer:
    """Change some of the hours of a resource."""
    asked = await bodies.read(call.request, HoursChange)
    now = await _hours_now(call)
    days = {
        day: spans
        for day in asked.week.__struct_fields__
        if (spans := getattr(asked.week, day)) is not msgspec.UNSET
    }
    changed = msgspec.structs.replace(now, week=msgspec.structs.replace(now.week, **days))
    if asked.timezone is not msgspec.UNSET:
        changed = msgspec.structs.replace(changed, timezone=asked.timezone)
    if asked.holidays is not msgspec.UNSET:
        region = asked.holidays and Region(asked.holidays.country, asked.holidays.subdivision)
        changed = msgspec.structs.replace(changed, holidays=region)
    return await _set_hours(call, now, changed)


async def add_day(call: Call) -> Answer:
    """Add an exception to the hours of a resource."""
    asked = await bodies.read(call.request, NewDay)
    now = await _hours_now(call)
    day = msgspec.convert(msgspec.to_builtins(asked), SpecialDays)
    exceptions = tuple(sorted((*now.exceptions, day), key=lambda d: d.first))
    changed = msgspec.structs.replace(now, exceptions=exceptions)
    return await _set_hours(call, now, changed, status=201)


async def remove_day(call: Call) -> Answer:
    """Remove an exception from the hours of a resource."""
    asked = bodies.query(call.request, RemoveDay)
    now = await _hours_now(call)
    kept = tuple(day for day in now.exceptions if day.first.isoformat() != asked.first)
    if len(kept) == len(now.exceptions):
        not_found("exception that begins on", asked.first)
    changed = msgspec.structs.replace(now, exceptions=kept)
    return await _set_hours(call, now, changed, seen=asked.seen)


async def _hours_now(call: Call) -> Hours:
    record = await call.context.replica.record(RESOURCE, call.id)
    found = kind.read(record)
    if found is None or found.hours is None:
        not_found("resource with hours", call.id)
    return found.hours


async def _set_hours(
    call: Call, was: Hours | None, hours: Hours, *, status: int = 200, seen: str | None = None
) -> Answer:
    """Write hours; ``was``: what they were made from, None: from nothing."""
    known = conditional.read(call.request, seen)
    holidays = _holidays(call, hours)

    def write(tx: Transaction) -> Answer:
        found, vector = _find(tx, call, known)
        if found.hours is None:
            raise Refused("a group has members, no hours")
        if was is not None and found.hours != was:
            raise Clash("its hours were changed at the same moment; try again")
        affected = resource_rules.change(
            tx,
            site=found.site,
            name=call.id,
            actor=call.actor,
            hours=hours,
            holidays=holidays,
            seen=vector,
        )
        return single_hours(tx, call.id, status, affected)

    return await idempotency.write(call, write)


# ------------------------------------------------------------------ parts


def _find(tx: Transaction, call: Call, known: Precondition) -> tuple[Bookable, Vector | None]:
    held = tx.record(RESOURCE, call.id)
    found = kind.read(held)
    if found is None:
        not_found(RESOURCE, call.id)
    return found, conditional.check(known, held)


def _hours(asked: NewHours) -> Hours:
    return msgspec.convert(msgspec.to_builtins(asked), Hours)


def _holidays(call: Call, hours: Hours | None) -> PublicHolidays | None:
    if hours is None or hours.holidays is None:
        return None
    now_s = call.context.now_ms() / 1000
    today = datetime.datetime.fromtimestamp(now_s, datetime.UTC).date()
    return public_holidays.of(hours.holidays, today)


def _limits(now: Limits, asked: LimitsChange) -> Limits:
    given = {
        field: value
        for field in asked.__struct_fields__
        if (value := getattr(asked, field)) is not msgspec.UNSET
    }
    if given.get("grid") is not None:
        given["grid"] = msgspec.convert(msgspec.to_builtins(given["grid"]), Grid)
    return msgspec.structs.replace(now, **given)


ROUTES = (
    Route(
        method="POST",
        path="/api/resources",
        handler=create,
        summary="Make a resource, or a group that is booked as a whole",
        status=201,
        body=NewResource,
        answer=ResourceView,
        headers=("Location", "ETag"),
    ),
    Route(
        method="PATCH",
        path="/api/resources/{id}",
        handler=change,
        summary="Change it; bookings outside its new rules are flagged and told",
        body=ResourceChange,
        answer=ResourceView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/resources/{id}",
        handler=remove,
        summary="Retire it; bookings ahead are in the way, or cancelled",
        status=204,
        query=RemoveResource,
        is_conditional=True,
    ),
    Route(
        method="PUT",
        path="/api/resources/{id}/hours",
        handler=put_hours,
        summary="Replace its hours",
        body=NewHours,
        answer=HoursView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="PATCH",
        path="/api/resources/{id}/hours",
        handler=patch_hours,
        summary="Change its time zone, some weekdays, or whose public holidays it keeps",
        body=HoursChange,
        answer=HoursView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="POST",
        path="/api/resources/{id}/hours",
        handler=add_day,
        summary="Add days that differ: a holiday, leave, extra hours",
        status=201,
        body=NewDay,
        answer=HoursView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/resources/{id}/hours",
        handler=remove_day,
        summary="Remove days that differ",
        query=RemoveDay,
        answer=HoursView,
        headers=("ETag",),
        is_conditional=True,
    ),
)
