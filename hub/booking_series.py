"""Series of bookings: expanded, decided and written in one transaction."""

import datetime

import msgspec

from hub import deciding
from shared.api import booking_input
from shared.api.booking_input import NewBooking, NewSeries
from shared.api.booking_view import OccurrenceView, SeriesView, slot_view, times
from shared.api.booking_world import BOOKING, world
from shared.api.route import Answer, Call, json
from shared.core.booking import recurrence, series_decision
from shared.core.booking.booking import Create, Decision
from shared.core.booking.decision import World
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import MINUTE_MS, SECOND_MS
from shared.core.booking.series import Moved, Occurrence, OccurrenceDecision, Series
from shared.core.booking.slot import Slot
from shared.core.event import Dot
from shared.core.kinds import booking as bookings
from shared.errors import Clash, Invalid, Refused
from shared.store.transaction import Transaction


class Planned(msgspec.Struct, frozen=True):
    """A series as it is asked for, and its id."""

    id: str
    series: Series


def planned(asked: NewBooking, series_id: str) -> Planned:
    """Return the series that a request asks for.

    Raises:
        Invalid: It names a time, a hold or an id beside.
        Refused: A time of it is none.
    """
    given = asked.series
    assert given is not None
    wrong = [
        n for n in ("start", "end", "minutes", "hold_s", "id") if getattr(asked, n) is not None
    ]
    if wrong:
        message = "not beside a series"
        raise Invalid(f"{wrong[0]} is {message}", ((f"$.{wrong[0]}", message),))
    return Planned(series_id, _series(asked, given))


def _series(asked: NewBooking, given: NewSeries) -> Series:
    return Series(
        resources=tuple(sorted(set(booking_input.names(asked)))),
        start=_wall(given.start, "$.series.start"),
        length_s=given.minutes * MINUTE_MS // SECOND_MS,
        rule=given.rule,
        policy=given.policy,
        without=tuple(_wall(w, f"$.series.without[{n}]") for n, w in enumerate(given.without)),
        moved=tuple(
            Moved(
                _wall(move.original, f"$.series.moved[{n}].original"),
                _wall(move.start, f"$.series.moved[{n}].start"),
            )
            for n, move in enumerate(given.moved)
        ),
        alternatives=asked.alternatives,
        title=asked.title,
    )


def _wall(text: str, path: str) -> datetime.datetime:
    try:
        wall = datetime.datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(
            f"{text!r} is no time; write 2026-12-01T14:00", ((path, "no time"),)
        ) from error
    if wall.tzinfo is not None:
        message = "a series goes by the clock of its resources; leave the offset out"
        raise Refused(message, ((path, message),))
    return booking_input.wall(wall, path)


def book(tx: Transaction, call: Call, site: str, planned: Planned) -> Answer:
    """Decide a series and write what of it is booked.

    Raises:
        Clash: Nothing is.
    """
    here = world(tx, site, tx.now_ms)
    series = planned.series
    zone = series_decision.zone(series, here.resources, here.groups)
    occurrences = recurrence.expand(series, zone)
    if not occurrences:
        raise Refused("every occurrence is left out; nothing is asked for")
    decided = series_decision.decide_series(
        planned.id, series, occurrences, Dot(tx.node.device, 0), here
    )
    shown = tuple(_view(one, here, zone) for one in decided.occurrences)
    if not decided.accepted:
        raise Clash(
            f"none of the {len(shown)} occurrences is booked; occurrences says why",
            occurrences=shown,
        )
    for one in decided.occurrences:
        if one.decision.accepted:
            _write(tx, call, site, planned, one.occurrence, one.decision)
    return json(SeriesView(planned.id, True, shown), status=201)


def _write(
    tx: Transaction,
    call: Call,
    site: str,
    planned: Planned,
    occurrence: Occurrence,
    decision: Decision,
) -> None:
    """Write one occurrence as a booking of its own."""
    series, booking = planned.series, decision.booking
    tx.append(
        site=site,
        kind="booking.series",
        subject=booking.id,
        register=bookings.SERIES,
        body=bookings.PartOf(planned.id, occurrence.original),
        actor=call.actor,
    )
    slot = Slot(series.resources, occurrence.start_ms, occurrence.end_ms)
    event = tx.append(
        site=site,
        kind=f"{BOOKING}.{bookings.REQUESTED}",
        subject=booking.id,
        register=bookings.REQUESTED,
        body=Create(slot, alternatives=series.alternatives, title=series.title),
        actor=call.actor,
    )
    mine = msgspec.structs.replace(booking, changed_by=event.dot)
    own = msgspec.structs.replace(decision, request=event.dot, booking=mine)
    deciding.write(tx, event, own, site)


def _view(one: OccurrenceDecision, here: World, zone: datetime.tzinfo) -> OccurrenceView:
    occurrence, decision = one.occurrence, one.decision
    return OccurrenceView(
        occurrence.original.isoformat(),
        *times(Interval(occurrence.start_ms, occurrence.end_ms), zone),
        shifted=occurrence.shifted,
        accepted=decision.accepted,
        booking=decision.booking.id if decision.accepted else None,
        reasons=decision.reasons,
        alternatives=[slot_view(s, here.resources) for s in decision.alternatives],
    )
