"""Which tasks a list looks at: rows in its order, read as ranges of indexes, whatever is asked.

A filter of several values is a range of an index for each of them, merged by the key of the order;
so nothing is sorted, and a page costs the same among a million tasks as among ten thousand. Of
several filters one drives, the one that leaves the fewest rows as far as a glance into its index
tells, and the others are held against each row that it gives. The caller bounds how many that are.
"""

import enum
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import msgspec

from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import JOURNALED
from shared.store.transaction import Reading

CHUNK_MIN = 64  # rows of the first question to a range: a page's worth
CHUNK_MAX = 512
GLANCE_MAX = 1000  # index entries counted to compare filters: some 50 µs each

# Of every row: where it stands, and whether it was submitted. The others only to be held against.
COLUMNS = ("id", "priority", "deadline", "created_at", "status")

Wanted = Mapping[str, Sequence[str | int]]  # column to the values that are asked for
Row = tuple[Any, ...]  # of COLUMNS and more


class Order(enum.StrEnum):
    """Order of a list."""

    NEWEST = "newest"
    URGENT = "urgent"  # priority, deadline, creation


class Place(msgspec.Struct, frozen=True):
    """Where a row stands in both orders."""

    priority: int
    deadline: int
    created_ms: int
    id: str


class Index(msgspec.Struct, frozen=True):
    """An index: columns that are fixed for a range of it; the key of its order follows them."""

    name: str
    fixed: tuple[str, ...]


# The first column of each is the filter that it serves. Among filters that leave equally many
# rows, the earlier: few tasks are open, and of those a device or a group has few.
NEWEST = (
    Index("tasks_by_group", ("group_key",)),
    Index("tasks_by_device", ("device", "status")),
    Index("tasks_by_status", ("status",)),
    Index("tasks_by_requester", ("requester",)),
    Index("tasks_by_type", ("type",)),
    Index("tasks_by_priority", ("priority",)),
)
URGENT = (
    Index("tasks_by_group_urgent", ("group_key", "priority")),
    Index("tasks_by_status_urgent", ("status", "priority")),
    Index("tasks_by_device_urgent", ("device", "priority")),
    Index("tasks_by_requester_urgent", ("requester", "priority")),
    Index("tasks_by_type_urgent", ("type", "priority")),
)
ALL_NEWEST = Index("tasks_by_status", ("status",))
ALL_URGENT = Index("tasks_urgent", ("priority",))

# Values of the columns that an index fixes though no filter may name them: all there are.
EVERY: Wanted = MappingProxyType(
    {
        "status": tuple(sorted(status.value for status in JOURNALED)),
        "priority": tuple(priority.value for priority in Priority),
    }
)


def scan(
    reading: Reading, wanted: Wanted, order: Order, after: Place | None
) -> Iterator[tuple[Place, bool]]:
    """Yield the place of each row looked at, in the order of the list, and whether it matches.

    Args:
        reading: One state of the database.
        wanted: Values by column; a column that is not named is not filtered by.
        order: Newest or most urgent first.
        after: Begin after this place; None: at the start.
    """
    index = _driver(reading, wanted, order)
    others = [column for column in wanted if column not in index.fixed]
    columns = (*COLUMNS, *(column for column in others if column not in COLUMNS))
    matches = _held_against([(columns.index(one), frozenset(wanted[one])) for one in others])
    status = columns.index("status")
    for row in _rows(reading, statement(index, order, columns), index, wanted, order, after):
        yield Place(row[1], row[2], row[3], row[0]), row[status] != "" and matches(row)


def _held_against(filters: Sequence[tuple[int, frozenset[Any]]]) -> Callable[[Row], bool]:
    """Return whether a row has one of the values of each filter, given with its column's place."""
    match filters:
        case []:
            return lambda _row: True
        case [(at, values)]:  # asked of some hundred rows a page: without a generator for each
            return lambda row: row[at] in values
        case _:
            return lambda row: all(row[at] in values for at, values in filters)


def statement(index: Index, order: Order, columns: Sequence[str] = COLUMNS) -> str:
    """Return the question for a stretch of a range: fixed values, place, how many."""
    count = len(index.fixed)
    where = [f"{column} = ${i + 1}" for i, column in enumerate(index.fixed)]
    if order is Order.URGENT:
        where.append(f"(deadline, created_at, id) > (${count + 1}, ${count + 2}, ${count + 3})")
        following, limit = "deadline, created_at, id", count + 4
    else:
        where.append(f"(created_at, id) < (${count + 1}, ${count + 2})")
        following, limit = "created_at DESC, id DESC", count + 3
    return (
        f"SELECT {', '.join(columns)} FROM tasks WHERE {' AND '.join(where)} "  # noqa: S608 - ours, no input
        f"ORDER BY {following} LIMIT ${limit}"
    )


def glance(index: Index) -> str:
    """Return the question how many rows a range has, up to a number."""
    where = " AND ".join(f"{column} = ${i + 1}" for i, column in enumerate(index.fixed))
    return (
        f"SELECT count(*) FROM (SELECT 1 FROM tasks WHERE {where} "  # noqa: S608 - ours, no input
        f"LIMIT ${len(index.fixed) + 1})"
    )


def _driver(reading: Reading, wanted: Wanted, order: Order) -> Index:
    """Return the index to read: that of the filter which leaves the fewest rows."""
    indexes = URGENT if order is Order.URGENT else NEWEST
    usable = [index for index in indexes if index.fixed[0] in wanted]
    if not usable:
        return ALL_URGENT if order is Order.URGENT else ALL_NEWEST
    if len(usable) == 1:
        return usable[0]
    return min(usable, key=lambda index: _size(reading, index, wanted))


def _size(reading: Reading, index: Index, wanted: Wanted) -> int:
    text, size = glance(index), 0
    for values in _ranges(index, wanted):
        ((found,),) = reading.query(text, *values, GLANCE_MAX - size)
        size += found
        if size >= GLANCE_MAX:
            break
    return size


def _ranges(index: Index, wanted: Wanted) -> Iterator[Row]:
    """Yield the fixed values of each range; those of the last column change slowest."""
    every = [wanted.get(column) or EVERY[column] for column in reversed(index.fixed)]
    for values in itertools.product(*every):
        yield values[::-1]


def _rows(
    reading: Reading, text: str, index: Index, wanted: Wanted, order: Order, after: Place | None
) -> Iterator[Row]:
    """Yield the rows of all ranges in the order of the list."""
    if order is Order.NEWEST:
        newest: Callable[[Row], Any] = itemgetter(3, 0)
        below = (after.created_ms, after.id) if after else (2**63 - 1, "")
        streams = [
            _stretches(reading, text, values, below, newest) for values in _ranges(index, wanted)
        ]
        yield from heapq.merge(*streams, key=newest, reverse=True)
        return
    # Priority is the slowest column of each urgent index: one after the other, not merged.
    key = itemgetter(2, 3, 0)
    for priority, ranges in itertools.groupby(_ranges(index, wanted), key=itemgetter(-1)):
        if after is not None and priority < after.priority:
            continue
        is_here = after is not None and priority == after.priority
        start = (after.deadline, after.created_ms, after.id) if after and is_here else (-1, 0, "")
        streams = [_stretches(reading, text, values, start, key) for values in ranges]
        yield from heapq.merge(*streams, key=key)


def _stretches(
    reading: Reading, text: str, values: Row, start: Row, key: Callable[[Row], Any]
) -> Iterator[Row]:
    """Yield the rows of one range after a place, asking for more at a time as it goes on."""
    chunk = CHUNK_MIN
    while True:
        rows = reading.query(text, *values, *start, chunk)
        yield from rows
        if len(rows) < chunk:
            return
        start = key(rows[-1])
        chunk = min(chunk * 2, CHUNK_MAX)
