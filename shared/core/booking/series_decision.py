"""Deciding a series: each occurrence like any booking, then all of them or those that fit. Pure."""

import datetime
from collections.abc import Sequence
from hashlib import sha256

import msgspec

from shared.core.booking.admission import unknown
from shared.core.booking.booking import Create, Decision, Request
from shared.core.booking.decision import World, decide
from shared.core.booking.groups import Groups, resolve
from shared.core.booking.reason import Reason, Rule
from shared.core.booking.resource import Resources
from shared.core.booking.series import (
    Occurrence,
    OccurrenceDecision,
    Policy,
    Series,
    SeriesDecision,
)
from shared.core.booking.slot import Slot
from shared.core.booking.status import Status
from shared.core.event import Dot
from shared.core.ids import uuid7
from shared.errors import Refused

_ID_BITS = 74


def decide_series(
    name: str, series: Series, occurrences: Sequence[Occurrence], request: Dot, world: World
) -> SeriesDecision:
    """Decide a series.

    Args:
        name: Its id.
        series: What is asked for.
        occurrences: Its occurrences, expanded, at least one.
        request: Name of the event that asks for it.
        world: As stored.

    Returns:
        With the policy ``all``, either every occurrence accepted or none.
    """
    # The occurrences have one dot, which is the series'; the batch tells them apart by number.
    asked = [
        Request(
            at=0,
            dot=Dot(request.origin, number),
            booking=booking_id(name, occurrence),
            ask=Create(
                Slot(series.resources, occurrence.start_ms, occurrence.end_ms),
                alternatives=series.alternatives,
                title=series.title,
            ),
        )
        for number, occurrence in enumerate(occurrences)
    ]
    decided = [_of(request, decision) for decision in decide(asked, world)]
    fitting = sum(decision.accepted for decision in decided)
    if series.policy is Policy.ALL and fitting < len(decided):
        decided = [_withdrawn(decision, len(decided) - fitting) for decision in decided]
        fitting = 0
    return SeriesDecision(
        request,
        fitting > 0,
        tuple(map(OccurrenceDecision, occurrences, decided)),
    )


def zone(series: Series, resources: Resources, groups: Groups) -> datetime.tzinfo:
    """Return the zone in which a series is read: that of its resources.

    Raises:
        Refused: A resource does not exist, or they lie in different zones.
    """
    names = resolve(series.resources, groups)
    for name in names:
        if name not in resources:
            raise Refused(unknown(name).text, (("$.resources", f"no resource {name}"),))
    found = {resources[name].calendar.zone for name in names}
    if len(found) > 1:
        raise Refused(
            f"{', '.join(names)} lie in different time zones, so ten o'clock is not one time; "
            "make a series for each zone",
            (("$.resources", "different time zones"),),
        )
    return found.pop()


def booking_id(series: str, occurrence: Occurrence) -> str:
    """Return the id of an occurrence's booking: whoever expands the series, it is the same."""
    digest = sha256(f"{series}\0{occurrence.original.isoformat()}".encode()).digest()
    return uuid7(occurrence.start_ms, int.from_bytes(digest) & ((1 << _ID_BITS) - 1))


def _of(request: Dot, decision: Decision) -> Decision:
    booking = msgspec.structs.replace(decision.booking, changed_by=request)
    return msgspec.structs.replace(decision, request=request, booking=booking)


def _withdrawn(decision: Decision, missing: int) -> Decision:
    """Take back an occurrence that would have fitted."""
    if not decision.accepted:
        return decision
    text = f"{missing} other occurrences do not fit; move those, or book with the policy skip"
    return msgspec.structs.replace(
        decision,
        accepted=False,
        booking=msgspec.structs.replace(decision.booking, status=Status.REFUSED),
        reasons=(Reason(Rule.SERIES, text),),
    )
