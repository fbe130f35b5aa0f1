"""Several tasks at once, all or none: a job of many steps is never half submitted.

A task of the batch may come after others of it, by their places (``#0``, ``#1`` …) in whatever
order they are given. They are journaled predecessors first, in one transaction. Each task is a
part of its own there: what the batch promises is promised by this node, and an agent's batch may
travel to the hub in several frames, never a task without the seat that came with it.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from heapq import heapify, heappop, heappush
from typing import Annotated

import msgspec

from shared.api import body as bodies
from shared.api import idempotency, task_queries, task_submission
from shared.api.context import NodeContext
from shared.api.route import Answer, Call, Route, json
from shared.api.sites import choose
from shared.api.task_submission import EdgeGiven, Planned, Submission
from shared.core.ids import UUID7_PATTERN
from shared.core.kinds.task_spec import AFTER_MAX
from shared.core.task_view import TaskView
from shared.errors import Refused
from shared.store.transaction import Transaction

TASKS_MAX = 500

Reference = Annotated[str, msgspec.Meta(pattern=rf"^#(0|[1-9][0-9]{{0,2}})$(?!\n)|{UUID7_PATTERN}")]


class BatchEdge(EdgeGiven, frozen=True, forbid_unknown_fields=True):
    """A predecessor, perhaps by its place in the batch, with more than the defaults."""

    task: Reference


class BatchTask(Submission, frozen=True, forbid_unknown_fields=True):
    """A task of a batch: a submission whose ``after`` may name others by their places."""

    after: Annotated[tuple[Reference | BatchEdge, ...], msgspec.Meta(max_length=AFTER_MAX)] = ()


class Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a batch."""

    tasks: Annotated[tuple[BatchTask, ...], msgspec.Meta(min_length=1, max_length=TASKS_MAX)]


class Submitted(msgspec.Struct, frozen=True):
    """Answer: the tasks in the order given, as lists show them."""

    items: list[TaskView]


class Step(msgspec.Struct, frozen=True):
    """A task of a batch, ready to be journaled.

    Attributes:
        place: Its place in the batch.
        planned: What will be journaled.
        site: Its site.
    """

    place: int
    planned: Planned
    site: str


async def submit(call: Call) -> Answer:
    """Submit tasks, all or none."""
    asked = await bodies.read(call.request, Batch)
    context = call.context
    steps = plan(asked.tasks, call.actor, context)
    return await idempotency.write(call, partial(_submit, steps=steps, context=context))


def plan(tasks: Sequence[BatchTask], actor: str, context: NodeContext) -> list[Step]:
    """Return what will be journaled, predecessors first, else in the order given.

    Raises:
        Invalid: A task is wrong in itself.
        Refused: So by a rule; ``after`` names no place of the batch, or tasks come after each
            other in a circle; two have one id.
        TooLarge: A task is more than one event may hold.
    """
    ids = _ids(tasks, context.new_id)
    steps = []
    for place, task in enumerate(tasks):
        with _at(place):
            after = tuple(_resolved(given, at, ids) for at, given in enumerate(task.after))
            given = msgspec.structs.replace(task, id=ids[place], after=after)
            planned = task_submission.plan(given, actor, context.now_ms(), context.new_id)
            steps.append(Step(place, planned, choose(context, planned.site)))
    return [steps[place] for place in _order(steps)]


def _submit(tx: Transaction, steps: Sequence[Step], context: NodeContext) -> Answer:
    is_new = False
    ids: dict[int, str] = {}
    instead: dict[str, str] = {}  # of a unique key that is taken: the task that has it
    for step in steps:
        tx.begin_part()
        planned = _renamed(step.planned, instead)
        with _at(step.place):
            found, is_first = task_submission.submit(tx, planned, step.site, context.can_run)
        ids[step.place] = found
        if found != planned.id:
            instead[planned.id] = found
        is_new |= is_first
    in_place = (ids[place] for place in sorted(ids))
    items = task_queries.several(tx, in_place, context.explain, context.now_ms(), context.away)
    return json(Submitted(items), status=201 if is_new else 200)


def _renamed(planned: Planned, instead: Mapping[str, str]) -> Planned:
    """Return a submission whose predecessors are the tasks that stand for those of the batch."""
    if not any(edge.task in instead for edge in planned.spec.after):
        return planned
    after = tuple(
        msgspec.structs.replace(edge, task=instead.get(edge.task, edge.task))
        for edge in planned.spec.after
    )
    spec = msgspec.structs.replace(planned.spec, after=after)
    return msgspec.structs.replace(planned, spec=spec)


def _at(place: int) -> AbstractContextManager[None]:
    """Name the task of the batch in what is wrong with it."""
    return bodies.beneath(f"$.tasks[{place}]", f"task {place}")


def _ids(tasks: Sequence[BatchTask], new_id: Callable[[], str]) -> list[str]:
    """Return an id for each task; those made here rise with the places, as their order does."""
    made = iter(sorted(new_id() for task in tasks if task.id is None))
    ids: list[str] = []
    known: set[str] = set()
    for place, task in enumerate(tasks):
        task_id = task.id or next(made)
        if task_id in known:
            raise Refused(
                f"two tasks of the batch have the id {task_id}; give each its own",
                ((f"$.tasks[{place}].id", "given before"),),
            )
        known.add(task_id)
        ids.append(task_id)
    return ids


def _resolved(given: str | EdgeGiven, at: int, ids: Sequence[str]) -> str | EdgeGiven:
    """Return an ``after`` with the id of the task that it names by its place."""
    name = given if isinstance(given, str) else given.task
    if not name.startswith("#"):
        return given
    place = int(name[1:])
    if place >= len(ids):
        raise Refused(
            f"after names {name}, and the batch ends at #{len(ids) - 1}",
            ((f"$.after[{at}]", f"no {name} in this batch"),),
        )
    if isinstance(given, str):
        return ids[place]
    return msgspec.structs.replace(given, task=ids[place])


def _order(steps: Sequence[Step]) -> list[int]:
    """Return the places, each after those that it comes after, else as given.

    Source: Kahn, Topological sorting of large networks, 1962.
    """
    place_of = {step.planned.id: step.place for step in steps}
    before: list[set[int]] = []
    after: list[list[int]] = [[] for _ in steps]
    for step in steps:
        named = {place_of[e.task] for e in step.planned.spec.after if e.task in place_of}
        before.append(named)
        for place in named:
            after[place].append(step.place)
    ready = [place for place, named in enumerate(before) if not named]
    heapify(ready)
    order: list[int] = []
    while ready:
        place = heappop(ready)
        order.append(place)
        for later in after[place]:
            before[later].discard(place)
            if not before[later]:
                heappush(ready, later)
    if len(order) < len(steps):
        raise _circle(steps, before, place_of)
    return order


def _circle(steps: Sequence[Step], before: Sequence[set[int]], place_of: dict[str, int]) -> Refused:
    """Return the refusal of a circle, found among what each task still waits for."""
    path: list[int] = [next(place for place, named in enumerate(before) if named)]
    while (following := min(before[path[-1]])) not in path:
        path.append(following)
    circle = path[path.index(following) :]
    planned = steps[circle[0]].planned
    edges = [place_of.get(edge.task) for edge in planned.spec.after]
    at = planned.given_at[edges.index(circle[1] if len(circle) > 1 else circle[0])]
    words = " after ".join(f"#{place}" for place in (*circle, circle[0]))
    return Refused(
        f"tasks of the batch come after each other in a circle: {words}",
        ((f"$.tasks[{circle[0]}].after[{at}]", f"a circle: {words}"),),
    )


ROUTES = (
    Route(
        method="POST",
        path="/api/tasks/batch",
        handler=submit,
        summary="Submit several tasks, all or none; after may name others of them as #0, #1",
        status=201,
        known="All of them had been submitted",
        body=Batch,
        answer=Submitted,
    ),
)
