"""Equipment: what people and machines report of a press, a pump, a robot.

Registers: ``created``, ``retired``, ``name``, ``attributes.KEY`` (one each), ``state.person`` and
``state.machine``. The shown state is the more severe of the two reports; a driver never replaces
what a person said, and only a person ends a conflict.
"""

import enum
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from shared.core import instants
from shared.core import record as records
from shared.core.clock import Stamp, at_ms
from shared.core.event import Event, device_of
from shared.core.ids import Name, conflict_id
from shared.core.kinds.kind import Kind, Lane, Row, SideRow, Table
from shared.core.policy import Policy, choose
from shared.core.record import Record
from shared.errors import Invalid

PERSON = "state.person"
MACHINE = "state.machine"
ATTRIBUTE_PREFIX = "attributes."
TEXT_MAX = 2000
NAME_MAX = 200
DECODED_MAX = 1024  # bodies of each type kept decoded: some 200 KiB


class State(enum.StrEnum):
    """The three states. Stored and sent: never renamed."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


SEVERITY = {State.GREEN: 1, State.YELLOW: 2, State.RED: 3}

Text = Annotated[str, msgspec.Meta(max_length=TEXT_MAX)]


class Created(msgspec.Struct, frozen=True):
    """Body of ``equipment.created``."""


class Retired(msgspec.Struct, frozen=True):
    """Body of ``equipment.retired``; ``retired: false`` takes it back."""

    retired: bool


class Named(msgspec.Struct, frozen=True):
    """Body of ``equipment.name``."""

    name: Annotated[str, msgspec.Meta(max_length=NAME_MAX)] | None


class Attribute(msgspec.Struct, frozen=True):
    """Body of ``equipment.attribute``; None removes it."""

    value: Text | bool | int | float | None


class Report(msgspec.Struct, frozen=True):
    """Body of ``equipment.state``: what somebody saw."""

    state: State
    reason: Text | None = None
    note: Text | None = None


BODIES: dict[str, type[msgspec.Struct]] = {
    "equipment.created": Created,
    "equipment.retired": Retired,
    "equipment.name": Named,
    "equipment.attribute": Attribute,
    "equipment.state": Report,
}

# The same few bodies are asked for again and again while a record is folded, shown and compared.
_report = lru_cache(DECODED_MAX)(msgspec.msgpack.Decoder(Report).decode)
_retired = lru_cache(DECODED_MAX)(msgspec.msgpack.Decoder(Retired).decode)
_named = lru_cache(DECODED_MAX)(msgspec.msgpack.Decoder(Named).decode)
_attribute = lru_cache(DECODED_MAX)(msgspec.msgpack.Decoder(Attribute).decode)


# ------------------------------------------------------------------ what a record says


class ReportView(msgspec.Struct, frozen=True):
    """One of the two reports, as the API shows it."""

    state: State
    actor: str
    at: str


class Reports(msgspec.Struct, frozen=True):
    """What people and what machines say."""

    person: ReportView | None
    machine: ReportView | None


class Equipment(msgspec.Struct, frozen=True):
    """A piece of equipment as the API shows it (SHAPES, Equipment)."""

    id: Name
    site: Name
    name: str | None
    attributes: dict[str, str | bool | int | float]
    state: State | None
    reason: str | None
    note: str | None
    changed_at: str | None
    actor: str | None
    reports: Reports
    device: str | None
    stale: bool
    reported_at: str | None
    conflicts: list[str]
    etag: str


def exists(record: Record) -> bool:
    """Say whether the equipment is in use: somebody created it, and it is not retired."""
    if not record.register("created").siblings:
        return False
    return not is_retired(record)


def is_retired(record: Record) -> bool:
    """Say whether it was taken out of use; a report made meanwhile is kept and revives nothing."""
    last = records.latest(record.register("retired"))
    return last is not None and _retired(last.body_bytes).retired


def shown(record: Record) -> tuple[Event, Report] | None:
    """Return the report to show: the more severe of the person's and the machine's."""
    person = _shown_of(record, PERSON)
    machine = _shown_of(record, MACHINE)
    if person is None or machine is None:
        return person or machine
    louder = SEVERITY[machine[1].state] > SEVERITY[person[1].state]
    return machine if louder else person


def view(record: Record, *, stale: bool = False) -> Equipment:
    """Return the equipment as the API shows it.

    Args:
        record: The record; it exists.
        stale: Whether the shown report comes from a machine that is not heard at present.
    """
    top = shown(record)
    event, report = top or (None, None)
    person, machine = _shown_of(record, PERSON), _shown_of(record, MACHINE)
    stamps = [e.header.at for e, _ in filter(None, (person, machine))]
    return Equipment(
        id=record.subject,
        site=record.site,
        name=name(record),
        attributes=attributes(record),
        state=report.state if report else None,
        reason=report.reason if report else None,
        note=report.note if report else None,
        changed_at=_time(event.header.at) if event else None,
        actor=event.header.actor if event else None,
        reports=Reports(_report_view(person), _report_view(machine)),
        device=device_of(event.header.origin) if event else None,
        stale=stale,
        reported_at=_time(max(stamps)) if stamps else None,
        conflicts=[
            conflict_id(record.site, "equipment", record.subject, register)
            for register in (PERSON, MACHINE)
            if in_conflict(record, register)
        ],
        etag=records.etag(record),
    )


def name(record: Record) -> str | None:
    """Return the equipment's name, if somebody gave one."""
    last = records.latest(record.register("name"))
    return _named(last.body_bytes).name if last else None


def attributes(record: Record) -> dict[str, str | bool | int | float]:
    """Return the attributes that are set, by key."""
    found: dict[str, str | bool | int | float] = {}
    for register_name in sorted(record.registers):
        if not register_name.startswith(ATTRIBUTE_PREFIX):
            continue
        last = records.latest(record.registers[register_name])
        value = _attribute(last.body_bytes).value if last else None
        if value is not None:
            found[register_name.removeprefix(ATTRIBUTE_PREFIX)] = value
    return found


def in_conflict(record: Record, register: str) -> bool:
    """Say whether a register holds distinct values, or one that is not understood."""
    held = record.register(register)
    if held.parked:
        return True
    return len(held.siblings) > 1 and len({_report(e.body_bytes) for e in held.siblings}) > 1


def _shown_of(record: Record, register: str) -> tuple[Event, Report] | None:
    event = choose(record.register(register).siblings, Policy.MOST_SEVERE, _severity)
    return (event, _report(event.body_bytes)) if event else None


def _report_view(pair: tuple[Event, Report] | None) -> ReportView | None:
    if pair is None:
        return None
    event, report = pair
    return ReportView(report.state, event.header.actor, _time(event.header.at))


def _time(stamp: Stamp) -> str:
    return instants.text(at_ms(stamp))


# ------------------------------------------------------------------ the kind


def _severity(event: Event) -> int:
    return SEVERITY[_report(event.body_bytes).state]


def _policy(register: str) -> Policy | None:
    return Policy.MOST_SEVERE if register in (PERSON, MACHINE) else None


def _value(event: Event) -> Any:
    return msgspec.to_builtins(_report(event.body_bytes))


def _resolution(_register: str, value: Any) -> tuple[str, msgspec.Struct]:
    try:
        return "equipment.state", msgspec.convert(value, Report)
    except msgspec.ValidationError as error:
        raise Invalid(f"value: {error}", (("$.value", str(error)),)) from error


def _judge(event: Event, _body: Any, _record: Callable[[], Record], _is_hub: bool) -> str | None:
    register, kind = event.header.register, event.header.kind
    if kind == "equipment.attribute":
        fits = register.startswith(ATTRIBUTE_PREFIX)
    elif kind == "equipment.state":
        fits = register in (PERSON, MACHINE)
    else:
        fits = register == kind.partition(".")[2]
    return None if fits else f"{kind} does not change register {register}"


_TABLE = Table(
    "equipment", ("id", "site", "name", "state", "reason", "changed_at", "attributes", "retired")
)


def _row(record: Record) -> Row:
    top = shown(record)
    return (
        record.subject,
        record.site,
        name(record),
        top[1].state.value if top else None,
        top[1].reason if top else None,
        at_ms(top[0].header.at) if top else None,
        msgspec.json.encode(attributes(record)).decode(),
        0 if exists(record) else 1,
    )


def _no_side_rows(_event: Event, _body: object) -> tuple[SideRow, ...]:
    return ()


def _everybody(_record: Record) -> tuple[str, ...]:
    return ()


EQUIPMENT = Kind(
    name="equipment",
    lane=Lane.RECORDS,
    bodies=BODIES,
    judge=_judge,
    policy=_policy,
    severity=_severity,
    value=_value,
    resolution=_resolution,
    table=_TABLE,
    row=_row,
    side_rows=_no_side_rows,
    devices=_everybody,
    related=_everybody,
)
