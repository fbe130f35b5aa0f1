"""Routes of queues: pause the tasks of one type in a site, let them go on, see who waits."""

from functools import partial

import msgspec

from shared.api import body as bodies
from shared.api import conditional, idempotency
from shared.api.conditional import Precondition
from shared.api.context import NodeContext, Topic
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.route import Answer, Call, Route, json, record
from shared.api.sites import choose
from shared.api.tasks import Why
from shared.core.ids import Name
from shared.core.kinds import queue as kind
from shared.core.kinds.queue import Paused, Queue
from shared.store import changes
from shared.store.transaction import Reading, Transaction

KIND = "queue"
ONE = "/api/queues/{type:[a-z0-9][a-z0-9._-]{0,62}}"

KNOWN = "SELECT site, type FROM queues"
COUNTS = """SELECT site, type, status, sum(count) FROM task_counts
    WHERE status <> '' GROUP BY site, type, status"""
COUNT = """SELECT status, sum(count) FROM task_counts
    WHERE site = $1 AND type = $2 GROUP BY status"""


class QueueChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of pause and resume; may be left out."""

    reason: Why | None = None
    site: Name | None = None


class QueueView(msgspec.Struct, frozen=True):
    """A queue as the API shows it, with the number of its tasks that this node knows."""

    type: Name
    site: Name
    paused: bool
    reason: str | None
    actor: str | None
    at: str | None
    waiting: int
    running: int
    etag: str


Counts = dict[str, int]  # by status as journaled


async def list_all(call: Call) -> Answer:
    """Return the queues of every type that is known here, by a task, a device, or a pause."""
    asked = bodies.query(call.request, PageQuery)
    page = partial(_page, asked=asked, context=call.context)
    return await call.context.replica.read(page)


async def pause(call: Call) -> Answer:
    """Start no more tasks of a type; those that run go on."""
    return await _change(call, paused=True)


async def resume(call: Call) -> Answer:
    """Start tasks of a type again."""
    return await _change(call, paused=False)


def render(reading: Reading, subject: str) -> QueueView:
    """Return a queue as the API shows it."""
    shown = kind.view(reading.record(KIND, subject))
    return _view(shown, dict(reading.query(COUNT, shown.site, shown.type)))


def _view(queue: Queue, counts: Counts) -> QueueView:
    return QueueView(
        type=queue.type,
        site=queue.site,
        paused=queue.paused,
        reason=queue.reason,
        actor=queue.actor,
        at=queue.at,
        waiting=counts.get("waiting", 0),
        running=counts.get("running", 0) + counts.get("cancelling", 0),
        etag=queue.etag,
    )


def _page(reading: Reading, asked: PageQuery, context: NodeContext) -> Answer:
    (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
    known = (*reading.query(KNOWN), *context.types(reading))
    found: dict[str, Counts] = {kind.subject(site, type_): {} for site, type_ in known}
    for site, type_, status, count in reading.query(COUNTS):
        found.setdefault(kind.subject(site, type_), {})[status] = count
    subjects = sorted(subject for subject in found if subject > after)
    shown = subjects[: asked.limit]
    items = [_view(kind.view(reading.record(KIND, one)), found[one]) for one in shown]
    following = write_cursor(shown[-1]) if len(subjects) > asked.limit else None
    return json(Page(items, following), headers={"Skerry-Position": str(changes.position(reading))})


async def _change(call: Call, *, paused: bool) -> Answer:
    asked = await bodies.read(call.request, QueueChange, required=False)
    subject = kind.subject(choose(call.context, asked.site), call.request.match_info["type"])
    body = Paused(paused, asked.reason)
    known = conditional.read(call.request)
    change = partial(_write, subject=subject, body=body, actor=call.actor, known=known)
    return await idempotency.write(call, change)


def _write(tx: Transaction, subject: str, body: Paused, actor: str, known: Precondition) -> Answer:
    held = tx.record(KIND, subject)
    conditional.check(known, held)
    shown = kind.view(held)
    if (shown.paused, shown.reason) != (body.paused, body.reason):  # again changes nothing
        tx.append(
            site=shown.site,
            kind="queue.paused",
            subject=subject,
            register=kind.PAUSED,
            body=body,
            actor=actor,
        )
    now = render(tx, subject)
    return record(now, now.etag)


TOPIC = Topic(name="queues", kind=KIND, render=render)

ROUTES = (
    Route(
        method="GET",
        path="/api/queues",
        handler=list_all,
        summary="Queues of all types known: paused or not, how many of their tasks wait and run",
        query=PageQuery,
        answer=Page[QueueView],
        headers=("Skerry-Position",),
    ),
    Route(
        method="POST",
        path=f"{ONE}/pause",
        handler=pause,
        summary="Start no more tasks of a type in a site; those that run go on",
        body=QueueChange,
        body_required=False,
        answer=QueueView,
        headers=("ETag",),
        is_conditional=True,
    ),
    Route(
        method="POST",
        path=f"{ONE}/resume",
        handler=resume,
        summary="Start tasks of a type again",
        body=QueueChange,
        body_required=False,
        answer=QueueView,
        headers=("ETag",),
        is_conditional=True,
    ),
)
