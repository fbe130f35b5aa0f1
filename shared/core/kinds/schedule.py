"""Schedules: tasks that the hub submits again and again. Only the hub writes them.

Registers: ``created``, ``plan`` (when, where, what), ``paused`` and ``retired``. Which slots have
had their task is no part of the record: an editor's ``ETag`` must not grow stale with each run. The
hub keeps it in a table, written with the submission.
"""

import enum
from collections.abc import Callable
from typing import Annotated, Any

import msgspec

from shared.core import record as records
from shared.core.clock import at_ms
from shared.core.event import Event
from shared.core.kinds.kind import Kind, Lane, Row, SideRow, Table
from shared.core.policy import Policy
from shared.core.record import Record
from shared.errors import Invalid

CREATED = "created"
PLAN = "plan"
PAUSED = "paused"
RETIRED = "retired"
CRON_CHARS_MAX = 200
ZONE_CHARS_MAX = 100
CATCH_UP_MAX = 500  # tasks that one return of the hub may submit for one schedule


class CatchUp(enum.StrEnum):
    """What becomes of slots that passed while the hub was away. Stored: never renamed."""

    SKIP = "skip"
    ONCE = "once"
    ALL = "all"


class Created(msgspec.Struct, frozen=True):
    """Body of ``schedule.created``."""


class Plan(msgspec.Struct, frozen=True):
    """Body of ``schedule.plan``: all but whether it is paused.

    Attributes:
        cron: Five fields.
        timezone: IANA name, in which the fields are read.
        task: A submission as it was given; what it leaves out gets the default at each slot.
        requester: Who asked for ``task``, and asks for each of its tasks.
        catch_up: What becomes of missed slots.
        catch_up_max: With ``all``: the newest so many of them.
    """

    cron: Annotated[str, msgspec.Meta(max_length=CRON_CHARS_MAX)]
    timezone: Annotated[str, msgspec.Meta(max_length=ZONE_CHARS_MAX)]
    task: dict[str, Any]
    requester: str
    catch_up: CatchUp
    catch_up_max: Annotated[int, msgspec.Meta(ge=1, le=CATCH_UP_MAX)]


class Paused(msgspec.Struct, frozen=True):
    """Body of ``schedule.paused``."""

    paused: bool


class Retired(msgspec.Struct, frozen=True):
    """Body of ``schedule.retired``; ``retired: false`` takes it back."""

    retired: bool


BODIES: dict[str, type[msgspec.Struct]] = {
    "schedule.created": Created,
    "schedule.plan": Plan,
    "schedule.paused": Paused,
    "schedule.retired": Retired,
}

_plan = msgspec.msgpack.Decoder(Plan).decode
_paused = msgspec.msgpack.Decoder(Paused).decode
_retired = msgspec.msgpack.Decoder(Retired).decode


class Schedule(msgspec.Struct, frozen=True):
    """A schedule in use, decoded."""

    id: str
    site: str
    plan: Plan
    paused: bool
    created_ms: int
    updated_ms: int


def read(record: Record) -> Schedule | None:
    """Decode a schedule's record; None if there is none, or it was deleted."""
    created = records.latest(record.register(CREATED))
    planned = records.latest(record.register(PLAN))
    retired = records.latest(record.register(RETIRED))
    if created is None or planned is None:
        return None
    if retired is not None and _retired(retired.body_bytes).retired:
        return None
    paused = records.latest(record.register(PAUSED))
    return Schedule(
        id=record.subject,
        site=record.site,
        plan=_plan(planned.body_bytes),
        paused=paused is not None and _paused(paused.body_bytes).paused,
        created_ms=at_ms(created.header.at),
        updated_ms=at_ms(records.newest(record)),
    )


# ------------------------------------------------------------------ the kind


def _judge(_event: Event, _body: Any, _record: Callable[[], Record], is_hub: bool) -> str | None:
    return None if is_hub else "only the hub writes schedules"


def _policy(_register: str) -> Policy | None:
    return None


def _no_severity(_event: Event) -> int:
    return 0


def _value(event: Event) -> Any:
    return msgspec.msgpack.decode(event.body_bytes)


def _resolution(register: str, _value: Any) -> tuple[str, msgspec.Struct]:
    raise Invalid(f"register {register} of a schedule has no conflicts to resolve")


_TABLE = Table("schedules", ("id", "site", "paused", "retired"))


def _row(record: Record) -> Row:
    found = read(record)
    paused = 1 if found is not None and found.paused else 0
    return (record.subject, record.site, paused, 0 if found else 1)


def _no_side_rows(_event: Event, _body: object) -> tuple[SideRow, ...]:
    return ()


def _nobody(_record: Record) -> tuple[str, ...]:
    return ()


SCHEDULE = Kind(
    name="schedule",
    lane=Lane.CONTROL,  # the lane that tells a record only to whom it concerns: here, nobody
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_no_severity,
    value=_value,
    resolution=_resolution,
    table=_TABLE,
    row=_row,
    side_rows=_no_side_rows,
    devices=_nobody,
    related=_nobody,
)
