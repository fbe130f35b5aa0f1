"""Routes of tasks; what they do is in the files beside this one that begin with ``task_``."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeVar

import msgspec

from shared.api import body as bodies
from shared.api import (
    conditional,
    idempotency,
    task_actions,
    task_history,
    task_queries,
    task_submission,
    task_summary,
)
from shared.api.conditional import Seen
from shared.api.context import NodeContext, Topic
from shared.api.pages import (
    LIMIT_DEFAULT,
    Cursor,
    Limit,
    Page,
    PageQuery,
    read_cursor,
    write_cursor,
)
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json, record
from shared.api.sites import choose
from shared.api.task_listing import Order
from shared.api.task_queries import TaskFilters
from shared.api.task_submission import Planned, PriorityWord, Submission
from shared.api.task_summary import Summary
from shared.core.ids import Name
from shared.core.kinds.task_spec import PRIORITY_WORDS
from shared.core.lifecycle import Status
from shared.core.task_view import TaskChange, TaskView
from shared.core.vector import Vector
from shared.errors import NotFound
from shared.store import changes
from shared.store.transaction import Reading, Transaction

KIND = "task"
T = TypeVar("T")

# An id is a UUID, so that it is never taken for the name of another path, such as summary.
ONE = "/api/tasks/{id:[0-9a-fA-F-]{36}}"

REASON_MAX = 1000
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_MAX)]  # for people

FOLLOWERS_MAX = 100  # told anew when a task changes; a list shows the others as well
# CROSS JOIN makes SQLite begin with the edges; it would rather look at every waiting task.
FOLLOWERS = """SELECT e.task FROM edges e CROSS JOIN tasks t ON t.id = e.task
    WHERE e.after = $1 AND t.status = 'waiting' LIMIT $2"""

StatusWord = Literal[
    "scheduled",
    "blocked",
    "queued",
    "running",
    "cancelling",
    "succeeded",
    "dead",
    "cancelled",
    "expired",
    "unknown",
]
VALUES_MAX = 20  # of one filter; they share the line of a request
Names = Annotated[tuple[Name, ...], msgspec.Meta(max_length=VALUES_MAX)]
Requester = Annotated[str, msgspec.Meta(max_length=200)]
Requesters = Annotated[tuple[Requester, ...], msgspec.Meta(max_length=VALUES_MAX)]
Act = Callable[[Transaction, Vector | None], T]


class TaskQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of the list; several values are separated by commas."""

    status: tuple[StatusWord, ...] = ()
    type: Names = ()
    priority: tuple[PriorityWord, ...] = ()
    device: Names = ()
    requester: Requesters = ()
    group: Names = ()
    order: Order = Order.NEWEST
    limit: Limit = LIMIT_DEFAULT
    cursor: Cursor | None = None


class Cancellation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a cancellation; may be left out."""

    reason: Why | None = None
    seen: Seen | None = None


class RetryRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a retry; may be left out."""

    reason: Why | None = None
    seen: Seen | None = None


class PriorityChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a change of priority."""

    priority: PriorityWord
    seen: Seen | None = None


# ------------------------------------------------------------------ reading


async def list_all(call: Call) -> Answer:
    """Return a page of tasks."""
    asked = bodies.query(call.request, TaskQuery)
    return await call.context.replica.read(partial(_page, context=call.context, asked=asked))


async def summary(call: Call) -> Answer:
    """Return counts of tasks."""
    return await call.context.replica.read(partial(_summary, context=call.context))


async def get(call: Call) -> Answer:
    """Return one task."""
    context = call.context
    shown = await context.replica.read(partial(_whole, context=context, task=call.id))
    return record(shown, shown.etag)


async def history(call: Call) -> Answer:
    """Return a page of the history of one task."""
    asked = bodies.query(call.request, PageQuery)
    return await call.context.replica.read(partial(_history, task=call.id, asked=asked))


def render(reading: Reading, context: NodeContext, task: str) -> TaskView | None:
    """Return a task as the API shows it; None if it is not known."""
    try:
        return _whole(reading, context, task)
    except NotFound:
        return None


def _whole(reading: Reading, context: NodeContext, task: str) -> TaskView:
    return task_queries.get(reading, task, context.explain, context.now_ms(), context.away)


def _page(reading: Reading, context: NodeContext, asked: TaskQuery) -> Answer:
    filters = TaskFilters(
        status=frozenset(Status(word) for word in asked.status),
        type=frozenset(asked.type),
        priority=frozenset(PRIORITY_WORDS[word] for word in asked.priority),
        device=frozenset(asked.device),
        requester=frozenset(asked.requester),
        group=frozenset(asked.group),
        order=asked.order,
    )
    now_ms = context.now_ms()
    page = task_queries.page(
        reading,
        filters,
        asked.limit,
        asked.cursor,
        context.explain,
        now_ms,
        away=context.away,
    )
    return json(page, headers={"Skerry-Position": str(changes.position(reading))})


def _summary(reading: Reading, context: NodeContext) -> Answer:
    counts = task_summary.summary(reading, context.explain, context.now_ms())
    return json(counts, headers={"Skerry-Position": str(changes.position(reading))})


def _history(reading: Reading, task: str, asked: PageQuery) -> Answer:
    if task_queries.load(reading, task)[1] is None:
        return not_found(KIND, task)
    after = read_cursor(asked.cursor, tuple[int, int]) if asked.cursor else task_history.START
    items, end = task_history.page(reading, task, asked.limit, after)
    return json(Page(items, write_cursor(*end) if end else None))


# ------------------------------------------------------------------ writing


async def submit(call: Call) -> Answer:
    """Submit a task."""
    asked = await bodies.read(call.request, Submission)
    context = call.context
    planned = task_submission.plan(asked, call.actor, context.now_ms(), context.new_id)
    site = choose(context, planned.site)
    change = partial(_submit, context=context, planned=planned, site=site)
    return await idempotency.write(call, change)


async def cancel(call: Call) -> Answer:
    """Cancel a task, or ask for it where it runs."""
    asked = await bodies.read(call.request, Cancellation, required=False)
    change = partial(task_actions.cancel, task_id=call.id, actor=call.actor, reason=asked.reason)
    return await act(call, lambda tx, seen: change(tx, seen=seen), asked.seen)


async def retry(call: Call) -> Answer:
    """Let a dead task run again."""
    asked = await bodies.read(call.request, RetryRequest, required=False)
    again = call.context.retry
    return await act(
        call,
        lambda tx, _: again(tx, call.id, call.actor, asked.reason),
        asked.seen,
        decides=True,
    )


async def prioritise(call: Call) -> Answer:
    """Change the priority of a task that waits."""
    asked = await bodies.read(call.request, PriorityChange)
    priority = PRIORITY_WORDS[asked.priority]
    change = partial(
        task_actions.set_priority, task_id=call.id, priority=priority, actor=call.actor
    )
    return await act(call, lambda tx, seen: change(tx, seen=seen), asked.seen)


def _submit(tx: Transaction, context: NodeContext, planned: Planned, site: str) -> Answer:
    task, is_new = task_submission.submit(tx, planned, site, context.can_run)
    shown = (
        task_queries.of_new(tx, task, context.explain, context.now_ms())
        if is_new
        else _whole(tx, context, task)
    )
    headers = {"Location": f"/api/tasks/{task}"}
    return record(shown, shown.etag, 201 if is_new else 200, headers)


def _plainly(shown: TaskView, _found: object) -> TaskView:
    return shown


async def act(
    call: Call,
    change: Act[T],
    seen: str | None,
    show: Callable[[TaskView, T], TaskView] = _plainly,
    *,
    decides: bool = False,
) -> Answer:
    """Do something with the task of the path, and answer with the task.

    Args:
        call: The request.
        change: What to do.
        seen: From the body: what the caller had seen.
        show: The answer, from the task and what ``change`` returned.
        decides: It decides who has the task or how it ended, which nothing can be concurrent with:
            what the caller had not seen is an error.
    """
    known = conditional.read(call.request, seen)

    def acted(tx: Transaction) -> Answer:
        held = tx.record(KIND, call.id)
        has_seen = conditional.check(known, held) if held.is_known else None
        if decides:
            task_actions.must_have_seen(held, has_seen)
        found = change(tx, has_seen)
        shown = _whole(tx, call.context, call.id)
        return record(show(shown, found), shown.etag)

    return await idempotency.write(call, acted)


# ------------------------------------------------------------------ what is served


def topic(context: NodeContext) -> Topic:
    """Return the live topic of tasks."""
    return Topic(
        name="tasks",
        kind=KIND,
        render=lambda reading, task: render(reading, context, task),
        one="task:",
        also=_followers,
    )


def _followers(reading: Reading, task: str) -> list[str]:
    """Return tasks whose shown status hangs on this one's; their own records do not change."""
    return [row[0] for row in reading.query(FOLLOWERS, task, FOLLOWERS_MAX)]


ROUTES = (
    Route(
        method="POST",
        path="/api/tasks",
        handler=submit,
        summary="Submit a task: type and payload, or a command line",
        status=201,
        known="It had been submitted, or an unfinished task has its unique key: this is that one",
        body=Submission,
        answer=TaskView,
        headers=("Location", "ETag"),
    ),
    Route(
        method="GET",
        path="/api/tasks",
        handler=list_all,
        summary="Tasks, newest or most urgent first",
        query=TaskQuery,
        answer=Page[TaskView],
        headers=("Skerry-Position",),
    ),
    Route(
        method="GET",
        path="/api/tasks/summary",
        handler=summary,
        summary="Counts by status, type and priority",
        answer=Summary,
        headers=("Skerry-Position",),
    ),
    Route(
        method="GET",
        path=ONE,
        handler=get,
        summary="One task: attempts, history, and why it waits",
        answer=TaskView,
        headers=("ETag",),
    ),
    Route(
        method="GET",
        path=f"{ONE}/history",
        handler=history,
        summary="What became of one task, oldest first, all of it",
        query=PageQuery,
        answer=Page[TaskChange],
    ),
    Route(
        method="POST",
        path=f"{ONE}/cancel",
        handler=cancel,
        summary="Cancel it, or ask for that where it runs",
        body=Cancellation,
        body_required=False,
        answer=TaskView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="POST",
        path=f"{ONE}/retry",
        handler=retry,
        summary="Let a dead task run again",
        body=RetryRequest,
        body_required=False,
        answer=TaskView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="POST",
        path=f"{ONE}/priority",
        handler=prioritise,
        summary="Change the priority of a task that waits",
        body=PriorityChange,
        answer=TaskView,
        headers=("ETag",),
        is_conditional=True,
    ),
)
