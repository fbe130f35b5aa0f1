"""Routes of availability: the first free times, all free times of a window, questions in words."""

import datetime
from functools import partial
from itertools import islice
from typing import Annotated, Literal

import msgspec

from shared.api import body as bodies
from shared.api.booking_input import MINUTES_MAX, Time, instant, zone_of
from shared.api.booking_view import BookingView, SlotView, slot_view
from shared.api.booking_world import world
from shared.api.context import NodeContext
from shared.api.route import Answer, Call, Route, json
from shared.api.sites import choose
from shared.core.booking import availability, free
from shared.core.booking import slot as slots
from shared.core.booking.admission import unknown
from shared.core.booking.decision import World
from shared.core.booking.groups import resolve
from shared.core.booking.interval import Interval
from shared.core.booking.local_time import HOUR_MS, MINUTE_MS
from shared.core.booking.reason import Reason
from shared.core.booking.slot import RESOURCES_MAX, Slot
from shared.core.booking.track import LEEWAY_MS, Wish
from shared.core.ids import Name
from shared.errors import Invalid, Refused
from shared.store.transaction import Reading

SLOTS_MAX = 50
FREE_MAX = 2000  # intervals of one answer
WINDOW_MS_MAX = 93 * 24 * HOUR_MS
QUESTION_MAX = 300

ANY_MAX = 1000

Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=RESOURCES_MAX)]
AnyOf = Annotated[tuple[Name, ...], msgspec.Meta(max_length=ANY_MAX)]


class AvailabilityQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"with_": "with"}
):
    """Query of ``GET /api/availability``.

    Attributes:
        resource: Any of these; with ``together`` all of them. With that, or in a window, at most
            RESOURCES_MAX.
        with_: And all of these.
        minutes: How long.
        after: Not to begin earlier; left out: now.
        before: Not to end later.
        window: ``from/to``, instead of ``after``: all free times in it.
        limit: How many slots.
        ask: A question instead of all that.
    """

    resource: AnyOf = ()
    with_: Names = ()
    together: Literal["true", "false"] = "false"
    minutes: Annotated[int, msgspec.Meta(ge=1, le=MINUTES_MAX)] | None = None
    after: Time | None = None
    before: Time | None = None
    window: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=SLOTS_MAX)] = 3
    ask: Annotated[str, msgspec.Meta(min_length=1, max_length=QUESTION_MAX)] | None = None
    site: Name | None = None


class AskedView(msgspec.Struct, frozen=True):
    """How a question was read; ``asks`` null: it was not understood, and ``reading`` says why."""

    text: str
    understood: bool
    reading: str
    asks: str | None


class AvailabilityView(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        slots: The earliest first.
        free: All free times.
        reasons: If there is no slot: which rule is why.
        certain: Whether this node decides; an agent tells what it knows.
        asked: How a question was read.
        bookings: Appointments that were asked for.
    """

    slots: list[SlotView] = []
    free: list[SlotView] = []
    reasons: tuple[Reason, ...] = ()
    certain: bool = True
    asked: AskedView | None = None
    bookings: list[BookingView] = []


async def get(call: Call) -> Answer:
    """Return the first free times, all of a window, or the answer to a question."""
    asked = bodies.query(call.request, AvailabilityQuery)
    context = call.context
    site = choose(context, asked.site)
    answer = await context.replica.read(partial(_answer, context=context, site=site, asked=asked))
    return json(answer)


def _answer(
    reading: Reading, context: NodeContext, site: str, asked: AvailabilityQuery
) -> msgspec.Struct:
    if asked.ask is not None:
        if context.ask is None:
            raise Refused("this node reads no questions; ask the hub, or by resource and minutes")
        return context.ask(reading, site, asked.ask)
    if not asked.resource:
        raise Invalid("resource is missing", (("$.resource", "required"),))
    is_hub = context.role == "hub"
    names = (*asked.resource, *asked.with_)
    here = world(reading, site, context.now_ms(), and_requested=not is_hub, names=names)
    found = _window(here, asked) if asked.window is not None else _first(here, asked)
    return msgspec.structs.replace(found, certain=is_hub)


def _first(here: World, asked: AvailabilityQuery) -> AvailabilityView:
    if asked.minutes is None:
        raise Invalid("minutes is missing", (("$.minutes", "required"),))
    together = asked.together == "true"
    options = _options(here, asked.resource, together=together, also=asked.with_)
    zone = _zone(here, options)
    after = here.now_ms if asked.after is None else instant(asked.after, zone, "$.after")
    before = None if asked.before is None else instant(asked.before, zone, "$.before")
    if not 0 <= after <= slots.TIME_MS_MAX:
        raise Refused("after is outside the years 1970 to 9988; check the date")
    return _search(here, options, asked.minutes * MINUTE_MS, after, before, most=asked.limit)


def first(
    here: World,
    names: tuple[str, ...],
    length_ms: int,
    after_ms: int,
    before_ms: int | None,
    *,
    together: bool,
    most: int,
) -> AvailabilityView:
    """Return the first free times of any of some resources and groups, or of all together."""
    options = _options(here, names, together=together, also=())
    return _search(here, options, length_ms, after_ms, before_ms, most=most)


def _search(
    here: World,
    options: dict[str, tuple[str, ...]],
    length_ms: int,
    after_ms: int,
    before_ms: int | None,
    *,
    most: int,
) -> AvailabilityView:
    wish = Wish(length_ms, after_ms, before_ms, leeway_ms=LEEWAY_MS)
    found = availability.first(
        wish, options, here.resources, here.busy, here.now_ms, most=most, many=here.many
    )
    return AvailabilityView(
        slots=[slot_view(slot, here.resources) for slot in found.slots], reasons=found.limits
    )


def _options(
    here: World, names: tuple[str, ...], *, together: bool, also: tuple[str, ...]
) -> dict[str, tuple[str, ...]]:
    """Return what would do, by name, with its groups resolved."""
    if together:
        return {"+".join(names): resolve((*names, *also), here.groups)}
    if also:
        return {name: resolve((name, *also), here.groups) for name in names}
    return {
        name: resolve((name,), here.groups) if name in here.groups else (name,) for name in names
    }


def _zone(here: World, options: dict[str, tuple[str, ...]]) -> datetime.tzinfo | None:
    """Return the zone that all of them share; None: they do not, or none of them is known."""
    members = {name for names in options.values() for name in names}
    found = {here.resources[name].calendar.zone for name in members if name in here.resources}
    return found.pop() if len(found) == 1 else None


def _window(here: World, asked: AvailabilityQuery) -> AvailabilityView:
    if asked.after is not None or asked.before is not None:
        message = "give window, or after and before"
        raise Invalid(message, (("$.window", message),))
    if len(asked.resource) > RESOURCES_MAX:
        message = f"at most {RESOURCES_MAX} resources with a window"
        raise Invalid(message, (("$.resource", message),))
    begin, slash, end = (asked.window or "").partition("/")
    if not slash:
        message = "write it as from/to"
        raise Invalid(f"window: {message}", (("$.window", message),))
    zone = zone_of((*asked.resource, *asked.with_), here)
    window = Interval(instant(begin, zone, "$.window"), instant(end, zone, "$.window"))
    least = (asked.minutes or 0) * MINUTE_MS
    together = asked.together == "true"
    return free_times(here, asked.resource, window, least, together=together, also=asked.with_)


def free_times(
    here: World,
    names: tuple[str, ...],
    window: Interval,
    least_ms: int = 0,
    *,
    together: bool,
    also: tuple[str, ...] = (),
) -> AvailabilityView:
    """Return all free times of a window, of each resource by itself or of all together.

    Raises:
        Refused: The window is none, or too long.
    """
    if not 0 <= window.start_ms < window.end_ms <= slots.TIME_MS_MAX:
        raise Refused("the window has no length, or lies outside the years 1970 to 9988")
    if window.length_ms > WINDOW_MS_MAX:
        raise Refused("the window is longer than 93 days; ask for a part of it")
    choices = (names,) if together else tuple((name,) for name in names)
    found: list[tuple[int, Slot]] = []
    for some in choices:
        members = resolve((*some, *also), here.groups)
        missing = tuple(unknown(name) for name in members if name not in here.resources)
        if missing:
            return AvailabilityView(reasons=missing)
        resources = [here.resources[name] for name in members]
        times = free.together(resources, here.busy, window, here.now_ms)
        found += [
            (time.start_ms, Slot(members, time.start_ms, time.end_ms))
            for time in islice((t for t in times if t.length_ms >= least_ms), FREE_MAX)
        ]
    if not found:
        wish = Wish(max(least_ms, MINUTE_MS), window.start_ms, window.end_ms)
        options = {"+".join(some): resolve((*some, *also), here.groups) for some in choices}
        none = availability.first(wish, options, here.resources, here.busy, here.now_ms)
        return AvailabilityView(reasons=none.limits)
    found.sort(key=lambda one: (one[0], one[1].resources))
    return AvailabilityView(free=[slot_view(slot, here.resources) for _, slot in found[:FREE_MAX]])


ROUTES = (
    Route(
        method="GET",
        path="/api/availability",
        handler=get,
        summary="The first free times, all of a window, or the answer to a question",
        query=AvailabilityQuery,
        answer=AvailabilityView,
    ),
)
