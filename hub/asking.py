"""Questions in words, read and answered; the reading is always told."""

from collections.abc import Callable

import msgspec

from shared.api import availability
from shared.api.availability import AskedView, AvailabilityView
from shared.api.booking_view import slot_view
from shared.api.booking_world import world
from shared.api.bookings import listed, rendered
from shared.core.booking import admission, question
from shared.core.booking.decision import World
from shared.core.booking.groups import resolve
from shared.core.booking.interval import Interval
from shared.core.booking.question import Appointments, FirstFree, FreeTimes, IsFree, Known
from shared.core.booking.reason import Reason
from shared.core.booking.slot import Slot
from shared.store.transaction import Reading

SLOTS = 3
APPOINTMENTS_MAX = 200
NAMED = "SELECT id, name, is_group FROM resources WHERE retired = 0 AND site = $1 ORDER BY id"


def answer(now_ms: Callable[[], int]) -> Callable[[Reading, str, str], AvailabilityView]:
    """Return what answers questions about a site, as of the time that ``now_ms`` tells."""

    def ask(reading: Reading, site: str, text: str) -> AvailabilityView:
        here = world(reading, site, now_ms())
        read = question.read(text, _known(reading, here, site), here.now_ms)
        found = AvailabilityView()
        asks: str | None = None
        if read.question is not None:
            asks = str(read.question.__struct_config__.tag)
            found = _answer(reading, here, read.question)
        told = AskedView(text, read.question is not None, read.text, asks)
        return msgspec.structs.replace(found, asked=told)

    return ask


def _answer(reading: Reading, here: World, asked: question.Question) -> AvailabilityView:
    match asked:
        case FirstFree(names, together, length, after, before):
            return availability.first(
                here, names, length, after, before, together=together, most=SLOTS
            )
        case IsFree(names, together, start, end):
            return _is_free(here, names, start, end, together=together)
        case FreeTimes(names, together, start, end, length):
            window = Interval(start, end)
            return availability.free_times(here, names, window, length or 0, together=together)
        case Appointments(names, start, end):
            found = listed(
                reading, resolve(names, here.groups), None, (start, end), limit=APPOINTMENTS_MAX
            )
            return AvailabilityView(bookings=rendered(reading, (one for _, one in found)))


def _is_free(
    here: World, names: tuple[str, ...], start: int, end: int, *, together: bool
) -> AvailabilityView:
    fitting: list[Slot] = []
    reasons: list[Reason] = []
    for some in (names,) if together else tuple((name,) for name in names):
        slot = Slot(resolve(some, here.groups), start, end)
        why_not = admission.reasons(slot, here.resources, here.busy, here.now_ms)
        reasons += why_not
        if not why_not:
            fitting.append(slot)
    return AvailabilityView(
        slots=[slot_view(slot, here.resources) for slot in fitting],
        reasons=() if fitting else tuple(reasons),
    )


def _known(reading: Reading, here: World, site: str) -> list[Known]:
    found: list[Known] = []
    for name, title, is_group in reading.query(NAMED, site):
        members = resolve((name,), here.groups) if is_group else (name,)
        zones = [here.resources[m].calendar.zone for m in members if m in here.resources]
        if zones:
            found.append(Known(name, title or name, zones[0]))
    return found
