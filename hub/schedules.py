"""Routes of schedules: tasks that the hub submits again and again."""

from functools import partial
from typing import Annotated, Any

import msgspec

from hub import cron, firing
from shared.api import body as bodies
from shared.api import conditional, idempotency, task_submission
from shared.api.conditional import Precondition, Seen
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.api.sites import choose
from shared.api.task_submission import Submission
from shared.core import instants, zones
from shared.core import record as records
from shared.core.ids import Name
from shared.core.kinds import schedule as schedules
from shared.core.kinds.schedule import (
    CATCH_UP_MAX,
    CRON_CHARS_MAX,
    ZONE_CHARS_MAX,
    CatchUp,
    Created,
    Paused,
    Plan,
    Retired,
    Schedule,
)
from shared.core.vector import Vector
from shared.errors import Clash, Refused
from shared.store import changes
from shared.store.transaction import Reading, Transaction

LIST = "SELECT id FROM schedules WHERE retired = 0 AND id > $1 ORDER BY id LIMIT $2"
# What says something of one task only: of a whole row of tasks it cannot be true.
OF_ONE_TASK = ("id", "site", "after", "not_before", "deadline")

Cron = Annotated[str, msgspec.Meta(min_length=1, max_length=CRON_CHARS_MAX)]
Zone = Annotated[str, msgspec.Meta(min_length=1, max_length=ZONE_CHARS_MAX)]
CatchUpMax = Annotated[int, msgspec.Meta(ge=1, le=CATCH_UP_MAX)]


class NewSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``POST /api/schedules``.

    Attributes:
        id: A name, or null: one is made.
        site: Of its tasks; needed only where the caller reaches several.
        cron: Minute, hour, day of month, month, day of week.
        timezone: IANA name, in which the fields are read.
        task: A submission; without id, site, after, not_before and deadline.
        catch_up: What becomes of slots that pass while the hub is away.
        catch_up_max: With ``all``: the newest so many of them.
        paused: Whether its slots pass without a task.
    """

    cron: Cron
    task: Submission
    id: Name | None = None
    site: Name | None = None
    timezone: Zone = "UTC"
    catch_up: CatchUp = CatchUp.SKIP
    catch_up_max: CatchUpMax = 24
    paused: bool = False


class ScheduleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PATCH``: what is left out stays."""

    cron: Cron | msgspec.UnsetType = msgspec.UNSET
    task: Submission | msgspec.UnsetType = msgspec.UNSET
    timezone: Zone | msgspec.UnsetType = msgspec.UNSET
    catch_up: CatchUp | msgspec.UnsetType = msgspec.UNSET
    catch_up_max: CatchUpMax | msgspec.UnsetType = msgspec.UNSET
    paused: bool | msgspec.UnsetType = msgspec.UNSET
    seen: Seen | None = None


class RemoveSchedule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of ``DELETE``, which has no body to carry ``seen``."""

    seen: Seen | None = None


class ScheduleView(msgspec.Struct, frozen=True):
    """A schedule as the API shows it.

    Attributes:
        task: As it was given.
        next_at: Its next slot; null while it is paused.
        last_slot: The newest slot that got a task.
        last_task: Id of that task.
        last_error: Why the newest slot's task was refused.
    """

    id: str
    site: str
    cron: str
    timezone: str
    task: dict[str, Any]
    requester: str
    catch_up: CatchUp
    catch_up_max: int
    paused: bool
    next_at: str | None
    last_slot: str | None
    last_task: str | None
    last_error: str | None
    created_at: str
    updated_at: str
    etag: str


# ------------------------------------------------------------------ reading


async def list_all(call: Call) -> Answer:
    """Return a page of schedules, by id."""
    asked = bodies.query(call.request, PageQuery)
    return await call.context.replica.read(partial(_page, asked=asked))


async def get(call: Call) -> Answer:
    """Return one schedule."""
    return await call.context.replica.read(partial(_single, schedule_id=call.id))


def _page(reading: Reading, asked: PageQuery) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    ids = [row[0] for row in reading.query(LIST, after, asked.limit + 1)]
    shown = [_render(reading, schedule_id) for schedule_id in ids[: asked.limit]]
    following = write_cursor(ids[asked.limit - 1]) if len(ids) > asked.limit else None
    page = Page([item for item in shown if item], following)
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _single(
    reading: Reading, schedule_id: str, status: int = 200, location: bool = False
) -> Answer:
    shown = _render(reading, schedule_id)
    if shown is None:
        not_found(firing.KIND, schedule_id)
    headers = {"Location": f"/api/schedules/{schedule_id}"} if location else {}
    return record(shown, shown.etag, status, headers)


def _render(reading: Reading, schedule_id: str) -> ScheduleView | None:
    held = reading.record(firing.KIND, schedule_id)
    schedule = schedules.read(held)
    if schedule is None:
        return None
    plan = schedule.plan
    mark = firing.mark(reading, schedule_id)
    try:
        next_ms, error = firing.next_ms(schedule, mark), None
    except Refused as refused:  # its zone has gone from the system, say
        next_ms, error = None, str(refused)
    return ScheduleView(
        id=schedule.id,
        site=schedule.site,
        cron=plan.cron,
        timezone=plan.timezone,
        task=plan.task,
        requester=plan.requester,
        catch_up=plan.catch_up,
        catch_up_max=plan.catch_up_max,
        paused=schedule.paused,
        next_at=instants.text_or_none(next_ms),
        last_slot=instants.text_or_none(mark.last_slot_ms if mark else None),
        last_task=mark.last_task if mark else None,
        last_error=error or (mark.last_error if mark else None),
        created_at=instants.text(schedule.created_ms),
        updated_at=instants.text(schedule.updated_ms),
        etag=records.etag(held),
    )


# ------------------------------------------------------------------ writing


async def create(call: Call) -> Answer:
    """Make a schedule."""
    asked = await bodies.read(call.request, NewSchedule)
    plan = Plan(
        cron=asked.cron,
        timezone=asked.timezone,
        task=_given(asked.task, call),
        requester=call.actor,
        catch_up=asked.catch_up,
        catch_up_max=asked.catch_up_max,
    )
    _check_times(plan)
    site = choose(call.context, asked.site)
    schedule_id = asked.id or call.context.new_id()
    write = partial(_create, call=call, schedule_id=schedule_id, site=site, plan=plan)
    return await idempotency.write(call, partial(write, paused=asked.paused))


async def change(call: Call) -> Answer:
    """Change a schedule."""
    asked = await bodies.read(call.request, ScheduleChange)
    known = conditional.read(call.request, asked.seen)
    given = {
        name: value
        for name in ("cron", "timezone", "catch_up", "catch_up_max")
        if (value := getattr(asked, name)) is not msgspec.UNSET
    }
    if asked.task is not msgspec.UNSET:
        given |= {"task": _given(asked.task, call), "requester": call.actor}
    write = partial(_change, call=call, given=given, paused=asked.paused, known=known)
    return await idempotency.write(call, write)


async def remove(call: Call) -> Answer:
    """Delete a schedule; the tasks that it submitted stay."""
    asked = bodies.query(call.request, RemoveSchedule)
    known = conditional.read(call.request, asked.seen)
    return await idempotency.write(call, partial(_remove, call=call, known=known))


def _given(task: Submission, call: Call) -> dict[str, Any]:
    """Return a submission as it was given, checked as if it were submitted now.

    Raises:
        Refused: It says what can be true of one task only; or it could not be submitted.
    """
    given = {
        name: value for name, value in msgspec.to_builtins(task).items() if value != _DEFAULTS[name]
    }
    wrong = [name for name in OF_ONE_TASK if name in given]
    if wrong:
        raise Refused(
            f"a schedule's tasks cannot share {', '.join(wrong)}; leave that out",
            tuple((f"$.task.{name}", "not in a schedule") for name in wrong),
        )
    with bodies.beneath("$.task", "task"):
        task_submission.plan(task, call.actor, call.context.now_ms(), call.context.new_id)
    return given


_DEFAULTS: dict[str, Any] = msgspec.to_builtins(Submission())


def _check_times(plan: Plan) -> None:
    cron.check(plan.cron)
    zones.find(plan.timezone)


def _create(
    tx: Transaction, call: Call, schedule_id: str, site: str, plan: Plan, paused: bool
) -> Answer:
    held = tx.record(firing.KIND, schedule_id)
    if schedules.read(held) is not None:
        raise Clash(f"schedule {schedule_id!r} exists; change it with PATCH")
    write = partial(_append, tx, call, schedule_id, site)
    write(Created())
    write(plan)
    if held.is_known:  # deleted before: its name begins anew
        write(Retired(retired=False))
    if held.is_known or paused:
        write(Paused(paused))
    firing.start(tx, schedule_id, tx.now_ms)
    return _single(tx, schedule_id, status=201, location=True)


def _change(
    tx: Transaction,
    call: Call,
    given: dict[str, Any],
    paused: bool | msgspec.UnsetType,
    known: Precondition,
) -> Answer:
    schedule, seen = _find(tx, call, known)
    write = partial(_append, tx, call, schedule.id, schedule.site, seen=seen)
    plan = msgspec.structs.replace(schedule.plan, **given)
    if given:
        _check_times(plan)
        write(plan)
    if paused is not msgspec.UNSET:
        write(Paused(paused))
    goes_on = schedule.paused and paused is False
    if goes_on or (plan.cron, plan.timezone) != (schedule.plan.cron, schedule.plan.timezone):
        firing.start(tx, schedule.id, tx.now_ms)
    return _single(tx, schedule.id)


def _remove(tx: Transaction, call: Call, known: Precondition) -> Answer:
    schedule, seen = _find(tx, call, known)
    _append(tx, call, schedule.id, schedule.site, Retired(retired=True), seen=seen)
    return Answer(204)


def _find(tx: Transaction, call: Call, known: Precondition) -> tuple[Schedule, Vector | None]:
    held = tx.record(firing.KIND, call.id)
    schedule = schedules.read(held)
    if schedule is None:
        not_found(firing.KIND, call.id)
    return schedule, conditional.check(known, held)


_PLACES: dict[type[msgspec.Struct], str] = {
    Created: schedules.CREATED,
    Plan: schedules.PLAN,
    Paused: schedules.PAUSED,
    Retired: schedules.RETIRED,
}


def _append(
    tx: Transaction,
    call: Call,
    schedule_id: str,
    site: str,
    body: Created | Plan | Paused | Retired,
    seen: Vector | None = None,
) -> None:
    register = _PLACES[type(body)]
    tx.append(
        site=site,
        kind=f"schedule.{register}",
        subject=schedule_id,
        register=register,
        body=body,
        actor=call.actor,
        seen=seen,
    )


# ------------------------------------------------------------------ what is served

ROUTES = (
    Route(
        method="GET",
        path="/api/schedules",
        handler=list_all,
        summary="Schedules, by id",
        query=PageQuery,
        answer=Page[ScheduleView],
        headers=("Skerry-Position",),
    ),
    Route(
        method="POST",
        path="/api/schedules",
        handler=create,
        summary="Have a task submitted again and again",
        status=201,
        body=NewSchedule,
        answer=ScheduleView,
        headers=("Location", "ETag"),
    ),
    Route(
        method="GET",
        path="/api/schedules/{id}",
        handler=get,
        summary="One schedule: its next slot and its last task",
        answer=ScheduleView,
        headers=("ETag",),
    ),
    Route(
        method="PATCH",
        path="/api/schedules/{id}",
        handler=change,
        summary="Change it, pause it, let it go on",
        body=ScheduleChange,
        answer=ScheduleView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="DELETE",
        path="/api/schedules/{id}",
        handler=remove,
        summary="Delete it; the tasks that it submitted stay",
        status=204,
        query=RemoveSchedule,
        is_conditional=True,
    ),
)
