"""What bookings are decided and searched against, read from this node's tables: lazily.

A search may look through years and stop at the first day, and a decision needs two resources of a
thousand: so resources are read when they are asked for, and bookings a page at a time. Who searches
among many names them beforehand, and they are read together.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from shared.core.booking.booking import Booking
from shared.core.booking.decision import World
from shared.core.booking.groups import Group
from shared.core.booking.local_time import HOUR_MS
from shared.core.booking.resource import Resource
from shared.core.booking.slot import LENGTH_MS_MAX
from shared.core.booking.taken import Taken
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.core.record import Record
from shared.store import records
from shared.store.transaction import Reading, Transaction

RESOURCE = "resource"
BOOKING = "booking"
PAGE = 16  # bookings read in the first step: what a day of a busy resource has
PAGE_MAX = 512  # in a later one: each is four times the one before
KEPT_MAX = 4096  # resources kept ready, by their rules; most share a few calendars
# No longer bookings are found by their start alone; the few others have an index of their own.
SHORT_MS = 4 * HOUR_MS

# What blocks: confirmed, held and alive, and at an agent what it has asked for itself.
_BLOCKS = """status IN ('requested', 'held', 'confirmed')
    AND (held_until IS NULL OR held_until > $1) AND (status <> 'requested' OR $2)"""
TAKEN = f"""SELECT begins, ends, booking FROM booking_places
    WHERE resource = $3 AND (begins, booking) > ($4, $5) AND begins < $6 AND ends > $7
    AND {_BLOCKS} ORDER BY begins, booking LIMIT $8"""  # noqa: S608 - ours
TAKEN_LONG = f"""SELECT begins, ends, booking FROM booking_places
    WHERE resource = $3 AND begins > $4 AND begins <= $5 AND ends > $6
    AND ends - begins > {SHORT_MS} AND {_BLOCKS} ORDER BY begins, booking"""  # noqa: S608 - ours
# Of many resources at once: their names come as one JSON list, so that there is one statement
# however many they are.
_OF = "FROM json_each($7) w CROSS JOIN booking_places p ON p.resource = w.value"
_NEAR = f"""{_OF} AND begins > $3 AND begins < $4 AND ends > $5 AND {_BLOCKS}"""
_NEAR_LONG = f"""{_OF} AND begins > $6 AND begins <= $3 AND ends > $5
    AND ends - begins > {SHORT_MS} AND {_BLOCKS}"""
UNTIL = f"SELECT resource, ends {_NEAR} UNION ALL SELECT resource, ends {_NEAR_LONG}"
COUNTS = f"SELECT resource {_NEAR} UNION ALL SELECT resource {_NEAR_LONG}"

RULES = """SELECT r.id, r.rules FROM json_each($2) w CROSS JOIN resources r ON r.id = w.value
    WHERE retired = 0 AND site = $1"""
NAMES = "SELECT id FROM resources WHERE retired = 0 AND site = $1 AND is_group = $2 ORDER BY id"

Bookable = Resource | Group
_kept: dict[tuple[str, str], Bookable] = {}  # by name and digest: good at any node, for ever


def world(
    reading: Reading,
    site: str,
    now_ms: int,
    *,
    and_requested: bool = False,
    names: Sequence[str] = (),
) -> World:
    """Return what decisions in a site are made against, as of now.

    Args:
        reading: Of this node.
        site: The site.
        now_ms: Wall clock, Unix ms.
        and_requested: Whether what is merely requested blocks too: at an agent, which does not ask
            for the same place twice. The hub decides each by itself.
        names: Resources and groups that will be asked for, to be read together.
    """
    known = _Known(reading, site)
    known.gather(names)
    busy = Busy(reading, now_ms, and_requested=and_requested)
    return World(
        resources=Resources(reading, site, known),
        groups=Groups(reading, site, known),
        find=lambda booking_id: _find(reading, site, booking_id),
        busy=busy,
        now_ms=now_ms,
        many=busy,
        source=lambda booking_id: bookings.source(reading.record(BOOKING, booking_id)),
    )


class Busy:
    """The bookings of a resource that block it, in the order of their starts; or of many at once.

    ``shared.core.booking.taken.Busy`` and ``Many``.
    """

    def __init__(self, reading: Reading, now_ms: int, *, and_requested: bool) -> None:
        self._reading = reading
        self._blocks = (now_ms, int(and_requested))

    def __call__(self, resource: str, start_ms: int, end_ms: int) -> Iterator[Taken]:
        """Yield those that overlap [start, end)."""
        query, blocks = self._reading.query, self._blocks
        since = start_ms - SHORT_MS
        first = start_ms - LENGTH_MS_MAX - 1
        yield from query(TAKEN_LONG, *blocks, resource, first, since, start_ms)
        after: tuple[int, str] = (since + 1, "")
        size = PAGE
        while True:
            page = query(TAKEN, *blocks, resource, *after, end_ms, start_ms, size)
            yield from page
            if len(page) < size:
                return
            after = (page[-1][0], page[-1][2])
            size = min(PAGE_MAX, size * 4)

    def until(self, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, int]:
        """Return when the last that overlaps [start, end) ends, of those that have any."""
        found: dict[str, int] = {}
        for resource, ends in self._ask(UNTIL, names, start_ms, end_ms):
            if ends > found.get(resource, 0):
                found[resource] = ends
        return found

    def counts(self, names: Sequence[str], start_ms: int, end_ms: int) -> Mapping[str, int]:
        """Return how many overlap [start, end), of those that have any."""
        return Counter([name for (name,) in self._ask(COUNTS, names, start_ms, end_ms)])

    def _ask(self, text: str, names: Sequence[str], start_ms: int, end_ms: int) -> list[Any]:
        times = (start_ms - SHORT_MS, end_ms, start_ms, start_ms - LENGTH_MS_MAX - 1)
        return self._reading.query(text, *self._blocks, *times, _listed(names))


def _listed(names: Sequence[str]) -> str:
    return msgspec.json.encode(names).decode()


class _Known:
    """The resources and groups of a site, each read once."""

    def __init__(self, reading: Reading, site: str) -> None:
        self._reading = reading
        self._site = site
        self._found: dict[str, Bookable | None] = {}

    def __getitem__(self, name: str) -> Bookable | None:
        """Return what is called so; None: nothing."""
        try:
            return self._found[name]
        except KeyError:
            record = self._reading.record(RESOURCE, name)
            found = self._found[name] = self._ready(record)
            return found

    def gather(self, names: Sequence[str]) -> None:
        """Read these together.

        Not of a transaction: what was written in it is nowhere but in its records.
        """
        if isinstance(self._reading, Transaction) or not names:
            return
        missing: dict[str, str] = {}
        for name, rules in self._reading.query(RULES, self._site, _listed(names)):
            kept = _kept.get((name, rules))
            if kept is None:
                missing[name] = rules
            else:
                self._found[name] = kept
        for name, record in records.load_many(self._reading.db, RESOURCE, [*missing]).items():
            found = self._found[name] = self._ready(record)
            if found is not None:
                if len(_kept) >= KEPT_MAX:
                    _kept.clear()
                _kept[name, missing[name]] = found
        for name in names:
            self._found.setdefault(name, None)

    def _ready(self, record: Record) -> Bookable | None:
        if record.site != self._site:
            return None
        return resources.group(record) or resources.ready(record)


class Resources(Mapping[str, Resource]):
    """The resources of a site, read when they are asked for."""

    def __init__(self, reading: Reading, site: str, known: _Known | None = None) -> None:
        self._reading = reading
        self._site = site
        self._known = known or _Known(reading, site)

    def gather(self, names: Sequence[str]) -> None:
        """Read these together."""
        self._known.gather(names)

    def __getitem__(self, name: str) -> Resource:
        found = self._known[name]
        if isinstance(found, Resource):
            return found
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and isinstance(self._known[name], Resource)

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._reading, self._site, is_group=False))

    def __len__(self) -> int:
        return len(_names(self._reading, self._site, is_group=False))


class Groups(Mapping[str, Group]):
    """The groups of a site, read when they are asked for."""

    def __init__(self, reading: Reading, site: str, known: _Known) -> None:
        self._reading = reading
        self._site = site
        self._known = known

    def __getitem__(self, name: str) -> Group:
        found = self._known[name]
        if isinstance(found, Group):
            return found
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and isinstance(self._known[name], Group)

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._reading, self._site, is_group=True))

    def __len__(self) -> int:
        return len(_names(self._reading, self._site, is_group=True))


def _names(reading: Reading, site: str, *, is_group: bool) -> list[str]:
    return [name for (name,) in reading.query(NAMES, site, int(is_group))]


def _find(reading: Reading, site: str, booking_id: str) -> Booking | None:
    record = reading.record(BOOKING, booking_id)
    return bookings.stands(record) if record.site == site else None
