"""What bookings are decided and searched against, read from this node's tables: lazily.

A search may look through years and stop at the first day, and a decision needs two resources of a
thousand: so resources are read when they are asked for, and bookings a page at a time.
"""

from collections.abc import Iterator, Mapping

from shared.core.booking.booking import Booking
from shared.core.booking.decision import World
from shared.core.booking.groups import Group
from shared.core.booking.resource import Resource
from shared.core.booking.slot import LENGTH_MS_MAX
from shared.core.booking.taken import Taken
from shared.core.kinds import booking as bookings
from shared.core.kinds import resource as resources
from shared.store.transaction import Reading

RESOURCE = "resource"
BOOKING = "booking"
PAGE = 200  # bookings read in one step: a day or two of a busy resource

# What blocks: confirmed, held and alive, and at an agent what it has asked for itself.
TAKEN = """SELECT begins, ends, booking FROM booking_places
    WHERE resource = $1 AND status IN ('requested', 'held', 'confirmed')
    AND (begins, booking) > ($2, $3) AND begins < $4 AND ends > $5
    AND (held_until IS NULL OR held_until > $6) AND (status <> 'requested' OR $7)
    ORDER BY begins, booking LIMIT $8"""


def world(reading: Reading, site: str, now_ms: int, *, and_requested: bool = False) -> World:
    """Return what decisions in a site are made against, as of now.

    Args:
        reading: Of this node.
        site: The site.
        now_ms: Wall clock, Unix ms.
        and_requested: Whether what is merely requested blocks too: at an agent, which does not ask
            for the same place twice. The hub decides each by itself.
    """
    return World(
        resources=Resources(reading, site),
        groups=Groups(reading, site),
        find=lambda booking_id: _find(reading, site, booking_id),
        busy=Busy(reading, now_ms, and_requested=and_requested),
        now_ms=now_ms,
    )


class Busy:
    """The bookings of a resource that block it, in the order of their starts."""

    def __init__(self, reading: Reading, now_ms: int, *, and_requested: bool) -> None:
        self._reading = reading
        self._now_ms = now_ms
        self._and_requested = int(and_requested)

    def __call__(self, resource: str, start_ms: int, end_ms: int) -> Iterator[Taken]:
        """Yield those that overlap [start, end)."""
        after: tuple[int, str] = (start_ms - LENGTH_MS_MAX - 1, "")
        while True:
            page = self._reading.query(
                TAKEN,
                resource,
                *after,
                end_ms,
                start_ms,
                self._now_ms,
                self._and_requested,
                PAGE,
            )
            yield from page
            if len(page) < PAGE:
                return
            after = (page[-1][0], page[-1][2])


class Resources(Mapping[str, Resource]):
    """The resources of a site, read when they are asked for."""

    def __init__(self, reading: Reading, site: str) -> None:
        self._reading = reading
        self._site = site
        self._known: dict[str, Resource | None] = {}

    def __getitem__(self, name: str) -> Resource:
        if name not in self._known:
            record = self._reading.record(RESOURCE, name)
            is_ours = record.site == self._site
            self._known[name] = resources.ready(record) if is_ours else None
        found = self._known[name]
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._reading, self._site, is_group=False))

    def __len__(self) -> int:
        return len(_names(self._reading, self._site, is_group=False))


class Groups(Mapping[str, Group]):
    """The groups of a site, read when they are asked for."""

    def __init__(self, reading: Reading, site: str) -> None:
        self._reading = reading
        self._site = site

    def __getitem__(self, name: str) -> Group:
        record = self._reading.record(RESOURCE, name)
        found = resources.group(record) if record.site == self._site else None
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_names(self._reading, self._site, is_group=True))

    def __len__(self) -> int:
        return len(_names(self._reading, self._site, is_group=True))


NAMES = "SELECT id FROM resources WHERE retired = 0 AND site = $1 AND is_group = $2 ORDER BY id"


def _names(reading: Reading, site: str, *, is_group: bool) -> list[str]:
    return [name for (name,) in reading.query(NAMES, site, int(is_group))]


def _find(reading: Reading, site: str, booking_id: str) -> Booking | None:
    record = reading.record(BOOKING, booking_id)
    return bookings.stands(record) if record.site == site else None
