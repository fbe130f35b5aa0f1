"""A new time-zone database: what is booked keeps its instants, what no longer fits is flagged.

Rules are local wall time and are read by the database of the day, so future opening hours move by
themselves. A booking is an instant: it may now lie an hour outside the hours that it was made for.
A process keeps the zones that it has read, so a look at its start is enough.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

from hub import resource_rules, zone_digest
from shared.api.booking_world import RESOURCE
from shared.core.kinds import resource as resources
from shared.replica import Replica
from shared.store.transaction import Reading

IN_USE = "SELECT id FROM resources WHERE retired = 0 AND is_group = 0"

log = logging.getLogger(__name__)


async def look(replica: Replica, year: int) -> None:
    """Flag anew the bookings of resources in zones that are reckoned with otherwise than before."""
    for name, used_by in (await replica.read(_in_use)).items():
        now = zone_digest.reckoned(name, year)
        before = await replica.read(partial(zone_digest.known, name=name))
        if before == now:
            continue
        if before is not None and before != zone_digest.reckoned(name, before.year):
            log.warning("the time zone %s has new rules; looking at what is booked", name)
            for resource in used_by:
                await replica.write(partial(resource_rules.look, name=resource))
        await replica.write(partial(zone_digest.keep, name=name, now=now))


def _in_use(reading: Reading) -> Mapping[str, Sequence[str]]:
    """Return the resources of each zone."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for (name,) in reading.query(IN_USE):
        resource = resources.read(reading.record(RESOURCE, name))
        if resource is not None and resource.hours is not None:
            found[resource.hours.timezone].append(name)
    return found
