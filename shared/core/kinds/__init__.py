"""The kinds of record that this version understands: a file each.

Everything that the store, the session and the API need to know of a kind is in its ``Kind``; they
never name one.
"""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from shared.core.kinds.booking import BOOKING
from shared.core.kinds.equipment import EQUIPMENT
from shared.core.kinds.kind import Kind, Lane
from shared.core.kinds.queue import QUEUE
from shared.core.kinds.resource import RESOURCE
from shared.core.kinds.schedule import SCHEDULE
from shared.core.kinds.task_kind import TASK

KINDS: Mapping[str, Kind] = MappingProxyType(
    {kind.name: kind for kind in (EQUIPMENT, QUEUE, TASK, SCHEDULE, RESOURCE, BOOKING)}
)


@lru_cache(1024)
def record_kind(event_kind: str) -> str:
    """Return ``equipment`` of ``equipment.state``."""
    return event_kind.partition(".")[0]


def lane_of(kind: str) -> Lane:
    """Return the lane that records of a kind travel in, also of one not known here."""
    return KINDS[kind].lane if kind in KINDS else Lane.RECORDS
