"""What the rest of the program may ask of a kind of record."""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from shared.core.booking.interval import Interval
from shared.core.event import Event
from shared.core.policy import Policy
from shared.core.record import Record

Row = tuple[Any, ...]


class Lane(enum.IntEnum):
    """The two lanes of the hub's feed. A record travels in one only. Stored and sent."""

    CONTROL = 0  # tasks, bookings, later roster, revocations: never behind a long backlog
    RECORDS = 1  # the rest


class Counter(msgspec.Struct, frozen=True):
    """A table that tells how many rows of another share some values, without looking at them.

    Attributes:
        name: Of the table; its columns are those counted and ``count``.
        columns: What is counted, columns of the other table; NULL counts as ''.
    """

    name: str
    columns: tuple[str, ...]


class Table(msgspec.Struct, frozen=True):
    """A typed table that a kind fills.

    Attributes:
        name: Of the table.
        columns: Its columns, those of the primary key first.
        key: How many of them are the primary key.
        settled: Column that, once set, is not unset by an older event that arrives later.
        counter: Counts its rows, kept in the transaction that changes them; None: nothing does.
    """

    name: str
    columns: tuple[str, ...]
    key: int = 1
    settled: str | None = None
    counter: Counter | None = None


class SideRow(msgspec.Struct, frozen=True):
    """A row of a second table, derived from a single event (an attempt of a task)."""

    table: Table
    row: Row


def no_parts(_record: Record) -> tuple[Row, ...]:
    """Return no rows: a record that is one row."""
    return ()


def no_window(_record: Record) -> Interval | None:
    """Return no time: a record that concerns the devices named, and no others."""
    return None


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of record: its bodies, its rules, its rows. All functions are pure.

    Attributes:
        name: ``equipment``; event kinds are ``equipment.*``.
        lane: Lane of the hub's feed that its records travel in.
        bodies: Type of the body by event kind.
        judge: Reason why the hub refuses an event of a valid body, or None.
            Arguments: event, decoded body, how to get the record as the hub holds it (not
            every rule needs it), whether the author is the hub.
        policy: Policy of a register, or None if concurrent siblings are no conflict there.
        severity: Weight of a sibling under ``most-severe``.
        value: What of an event's body counts as its value, for people and to compare.
        resolution: Turn a value that a person chose into ``(event kind, body)``; raises Invalid.
        table: Its typed table.
        row: Row of the typed table, in the order of its columns.
        parts: A table that holds several rows of a record, the first column its id; None: none.
        part_rows: Those rows, which replace the ones that stood there.
        side_rows: Rows of other tables that one applied event makes; its body, if whoever calls has
            it decoded, else None.
        devices: In the control lane, the devices that a record concerns.
        window: In the control lane, the time in which a record concerns every device of its site,
            Unix ms; None: never.
        related: Subjects of the same kind whose status those devices need too.
    """

    name: str
    lane: Lane
    bodies: Mapping[str, type[msgspec.Struct]]
    judge: Callable[[Event, Any, Callable[[], Record], bool], str | None]
    policy: Callable[[str], Policy | None]
    severity: Callable[[Event], int]
    value: Callable[[Event], Any]
    resolution: Callable[[str, Any], tuple[str, msgspec.Struct]]
    table: Table
    row: Callable[[Record], Row]
    side_tables: tuple[Table, ...] = ()
    side_rows: Callable[[Event, msgspec.Struct | None], tuple[SideRow, ...]]
    parts: Table | None = None
    part_rows: Callable[[Record], tuple[Row, ...]] = no_parts
    devices: Callable[[Record], tuple[str, ...]]
    window: Callable[[Record], Interval | None] = no_window
    related: Callable[[Record], tuple[str, ...]]
