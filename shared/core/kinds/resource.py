"""Resources: what can be booked (a doctor, a press, a room), and groups of them.

Registers: ``created``, ``name``, ``hours``, ``limits``, ``group``, ``holidays`` and ``retired``.
Only the hub writes them: it holds new rules against the bookings there are. The public holidays of
a region are dates in the record, so that an agent knows them without knowing how they are found.
"""

import datetime
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any

import msgspec

from shared.core import record as records
from shared.core.booking import calendar as calendars
from shared.core.booking.calendar import Calendar
from shared.core.booking.groups import Group
from shared.core.booking.resource import Resource
from shared.core.booking.rules import Hours, Limits
from shared.core.clock import at_ms
from shared.core.event import Event
from shared.core.kinds.kind import Kind, Lane, Row, SideRow, Table
from shared.core.policy import Policy
from shared.core.record import Record
from shared.errors import Invalid

CREATED = "created"
NAME = "name"
HOURS = "hours"
LIMITS = "limits"
GROUP = "group"
HOLIDAYS = "holidays"
RETIRED = "retired"
NAME_MAX = 200
TEXT_MAX = 2000
DAYS_MAX = 1000
_READY_KEPT = 1024  # calendars kept ready to be asked: some 4 MiB with a year of exceptions each


class Created(msgspec.Struct, frozen=True):
    """Body of ``resource.created``."""


class Named(msgspec.Struct, frozen=True):
    """Body of ``resource.name``: what people call it, and what they should know of it."""

    name: Annotated[str, msgspec.Meta(max_length=NAME_MAX)] | None
    description: Annotated[str, msgspec.Meta(max_length=TEXT_MAX)] | None


class PublicHolidays(msgspec.Struct, frozen=True):
    """Body of ``resource.holidays``: of the region that its hours name.

    Attributes:
        days: Their names, by date.
        through: The last day up to which all of them are there.
    """

    days: Annotated[dict[datetime.date, str], msgspec.Meta(max_length=DAYS_MAX)]
    through: datetime.date


class Retired(msgspec.Struct, frozen=True):
    """Body of ``resource.retired``; ``retired: false`` takes it back."""

    retired: bool


BODIES: dict[str, type[msgspec.Struct]] = {
    "resource.created": Created,
    "resource.name": Named,
    "resource.hours": Hours,
    "resource.limits": Limits,
    "resource.group": Group,
    "resource.holidays": PublicHolidays,
    "resource.retired": Retired,
}
REGISTERS: dict[type[msgspec.Struct], str] = {
    body: kind.partition(".")[2] for kind, body in BODIES.items()
}

_named = msgspec.msgpack.Decoder(Named).decode
_hours = msgspec.msgpack.Decoder(Hours).decode
_limits = msgspec.msgpack.Decoder(Limits).decode
_group = msgspec.msgpack.Decoder(Group).decode
_holidays = msgspec.msgpack.Decoder(PublicHolidays).decode
_retired = msgspec.msgpack.Decoder(Retired).decode


class Bookable(msgspec.Struct, frozen=True):
    """A resource or a group in use, decoded.

    Attributes:
        hours: When; None: it is a group.
        limits: How; None: it is a group.
        group: Its members; None: it is a resource.
        holidays: Public holidays, as far as the hub has told them.
    """

    id: str
    site: str
    name: str | None
    description: str | None
    hours: Hours | None
    limits: Limits | None
    group: Group | None
    holidays: PublicHolidays | None
    created_ms: int
    updated_ms: int


def read(record: Record) -> Bookable | None:
    """Decode a resource's record; None if there is none, or it was retired."""
    created = records.latest(record.register(CREATED))
    if created is None or is_retired(record):
        return None
    bodies = {
        name: event.body_bytes
        for name, register in record.registers.items()
        if (event := records.latest(register)) is not None
    }
    if GROUP not in bodies and HOURS not in bodies:
        return None  # its first event came without the rest
    named = _named(bodies[NAME]) if NAME in bodies else Named(None, None)
    is_group = GROUP in bodies
    limits = _limits(bodies[LIMITS]) if LIMITS in bodies else Limits()
    return Bookable(
        id=record.subject,
        site=record.site,
        name=named.name,
        description=named.description,
        hours=None if is_group else _hours(bodies[HOURS]),
        limits=None if is_group else limits,
        group=_group(bodies[GROUP]) if is_group else None,
        holidays=_holidays(bodies[HOLIDAYS]) if HOLIDAYS in bodies else None,
        created_ms=at_ms(created.header.at),
        updated_ms=at_ms(records.newest(record)),
    )


def is_retired(record: Record) -> bool:
    """Say whether it can no longer be booked."""
    last = records.latest(record.register(RETIRED))
    return last is not None and _retired(last.body_bytes).retired


def ready(record: Record) -> Resource | None:
    """Return a resource ready to be asked; None: there is none, or it is a group."""
    hours = records.latest(record.register(HOURS))
    if hours is None or record.register(GROUP).siblings or is_retired(record):
        return None
    limits = records.latest(record.register(LIMITS))
    holidays = records.latest(record.register(HOLIDAYS))
    # The same objects for the same rules: a search among many resources looks at each set once.
    return Resource(
        record.subject,
        _limits_of(limits.body_bytes if limits else None),
        _calendar(hours.body_bytes, holidays.body_bytes if holidays else None),
    )


def group(record: Record) -> Group | None:
    """Return a group; None: there is none, or it is a resource."""
    last = records.latest(record.register(GROUP))
    return None if last is None or is_retired(record) else _group(last.body_bytes)


def digest(record: Record) -> str:
    """Return what stands for the rules of a resource or the members of a group: alike, if they are.

    Whoever kept them ready under it need not read a thousand records to search a thousand.
    """
    found = sha256()
    for name in (HOURS, LIMITS, HOLIDAYS, GROUP):
        last = records.latest(record.register(name))
        body = last.body_bytes if last else b""
        found.update(len(body).to_bytes(4, "big"))
        found.update(body)
    return found.hexdigest()[:32]


@lru_cache(_READY_KEPT)
def _calendar(hours: bytes, holidays: bytes | None) -> Calendar:
    rules = _hours(hours)
    known = _holidays(holidays).days if holidays and rules.holidays else {}
    return calendars.calendar(rules, known)


@lru_cache(_READY_KEPT)
def _limits_of(body: bytes | None) -> Limits:
    return _limits(body) if body else Limits()


# ------------------------------------------------------------------ the kind


def _judge(_event: Event, _body: Any, _record: Callable[[], Record], is_hub: bool) -> str | None:
    return None if is_hub else "only the hub writes resources"


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.msgpack.decode(event.body_bytes)


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a resource has no conflicts to resolve")


_TABLE = Table("resources", ("id", "site", "name", "is_group", "region", "retired", "rules"))


def _row(record: Record) -> Row:
    found = read(record)
    if found is None:
        return (record.subject, record.site, None, 0, None, 1, "")
    region = found.hours.holidays if found.hours else None
    return (
        found.id,
        found.site,
        found.name,
        0 if found.group is None else 1,
        None if region is None else f"{region.country}-{region.subdivision or ''}",
        0,
        digest(record),
    )


def _no_side_rows(_event: Event, _body: object) -> tuple[SideRow, ...]:
    return ()


def _everybody(_record: Record) -> tuple[str, ...]:
    return ()


RESOURCE = Kind(
    name="resource",
    lane=Lane.RECORDS,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=_TABLE,
    row=_row,
    side_rows=_no_side_rows,
    devices=_everybody,
    related=_everybody,
)
