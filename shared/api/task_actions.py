"""What callers may do with tasks: submit, cancel, retry, change the priority.

A node writes a task's status only while it sits for it: the hub until an allocation is made, an
agent while it alone knows its own submission. To everybody else's tasks it adds requests, which
stay on the record until the sitter answers (``docs/architecture.md``, the seat).
"""

import datetime
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from shared.core import event as events
from shared.core import instants
from shared.core import record as records
from shared.core.event import BODY_BYTES_MAX
from shared.core.ids import Name, Uuid7
from shared.core.kinds import task as tasks
from shared.core.kinds.task import (
    AFTER_MAX,
    ATTEMPTS_MAX,
    PRIORITY_WORDS,
    SECONDS_MAX,
    Allocation,
    CancelRequest,
    Edge,
    On,
    OnFailure,
    OnOrphan,
    Priority,
    PriorityRequest,
    Progress,
    Retry,
    Seat,
    Seconds,
    Spec,
    Task,
)
from shared.core.lifecycle import ENDED, FINAL, Signal, Status, move
from shared.core.record import Record
from shared.core.vector import Vector
from shared.errors import Clash, IllegalMove, Invalid, NotFound, Refused, TooLarge
from shared.store.transaction import Transaction

REQUIRES_MAX = 50
COMMAND_CHARS_MAX = 64 * 1024
HARMLESS_TWICE = frozenset({"wait", "http"})  # SHAPES: these are requeued by default

PriorityWord = Literal["critical", "high", "normal", "low"]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)]
CanRun = Callable[[Spec], bool]
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode
_spec = msgspec.msgpack.Decoder(Spec).decode


class EdgeGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A predecessor with more than the defaults."""

    task: Uuid7
    on: On = On.SUCCESS
    on_failure: OnFailure = OnFailure.CANCEL


class RetryGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exponential backoff with full jitter, seconds."""

    base_s: PositiveSeconds = 1
    max_s: PositiveSeconds = 300


class Submission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A task as a client submits it (SHAPES, Task).

    Attributes:
        id: UUIDv7, if the client wants to repeat the submission safely; else one is made.
        site: Needed only where the caller reaches several.
        type: With ``payload``; or ``command`` instead of both.
        payload: What the type's handler gets.
        command: A command line, split as a shell would, never given to one.
        priority: Urgency.
        device: The one device that may run it; null: whichever fits.
        requires: Capabilities that its device must have.
        after: Predecessors: ids, or edges.
        not_before: Instant with its offset; a naive time would mean another one on each node.
        start_to_close_s: Longest run of an attempt; null: the handler's own limit.
        max_attempts: Attempts under one allocation.
        retry: Backoff between attempts.
        on_orphan: What becomes of a run that a restart interrupts; null: by type.
    """

    id: Uuid7 | None = None
    site: Name | None = None
    type: Name | None = None
    payload: dict[str, Any] | None = None
    command: Annotated[str, msgspec.Meta(max_length=COMMAND_CHARS_MAX)] | None = None
    priority: PriorityWord = "normal"
    device: Name | None = None
    requires: Annotated[tuple[Name, ...], msgspec.Meta(max_length=REQUIRES_MAX)] = ()
    after: Annotated[tuple[Uuid7 | EdgeGiven, ...], msgspec.Meta(max_length=AFTER_MAX)] = ()
    not_before: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None
    start_to_close_s: Seconds | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] = 3
    retry: RetryGiven = RetryGiven()
    on_orphan: OnOrphan | None = None


class Planned(msgspec.Struct, frozen=True):
    """A submission that is right in itself; whether it fits the records, ``submit`` sees.

    Attributes:
        id: Of the task.
        site: As given, or None.
        spec: What will be journaled.
    """

    id: str
    site: str | None
    spec: Spec


# ------------------------------------------------------------------ submit


def plan(submission: Submission, actor: str, now_ms: int, new_id: Callable[[], str]) -> Planned:
    """Turn a submission into what will be journaled.

    Args:
        submission: As decoded.
        actor: Who submits; becomes ``requester``.
        now_ms: Wall clock, Unix ms. No rule asks for it yet: ``not_before`` is judged when the task
            could start, so that the same submission later is still the same.
        new_id: Makes a UUIDv7.

    Raises:
        Invalid: Neither ``type`` and ``payload`` nor ``command``, or both.
        Refused: A command line that cannot be split; an ``after`` that contradicts itself.
        TooLarge: More than one event may hold.
    """
    task_id = submission.id or new_id()
    type_, payload = _work(submission)
    harmless = OnOrphan.REQUEUE if type_ in HARMLESS_TWICE else OnOrphan.ASK
    start_ms = instants.ms(submission.not_before) if submission.not_before else None
    spec = Spec(
        type=type_,
        payload=payload,
        priority=PRIORITY_WORDS[submission.priority],
        requester=actor,
        device=submission.device,
        requires=tuple(dict.fromkeys(submission.requires)),
        after=_edges(submission, task_id),
        not_before_ms=start_ms,
        start_to_close_s=submission.start_to_close_s,
        max_attempts=submission.max_attempts,
        retry=Retry(submission.retry.base_s, submission.retry.max_s),
        on_orphan=submission.on_orphan or harmless,
    )
    _bound(spec)
    return Planned(task_id, submission.site, spec)


def submit(
    tx: Transaction, planned: Planned, site: str, can_run: CanRun | None = None
) -> tuple[str, bool]:
    """Journal a submission; an agent that can run it takes the seat in the same transaction.

    Args:
        tx: The transaction.
        planned: From ``plan``.
        site: Site of the task.
        can_run: On an agent: whether it runs such a task, by type and ``requires``.

    Returns:
        The id, and whether the task is new: the same submission again changes nothing.

    Raises:
        Clash: Another task has this id.
        Refused: An ``after`` that is not known here, or a site that this node does not serve.
    """
    record = tx.record("task", planned.id)
    known = tasks.read(record)
    if known is not None:
        if known.site != site or not _is_same(known, planned.spec):
            raise Clash(f"another task has the id {planned.id}; submit with an id of its own")
        return planned.id, False
    before = [_predecessor(tx, edge, site) for edge in planned.spec.after]
    actor = planned.spec.requester
    _append(tx, planned.id, site, "task.submitted", planned.spec, actor)
    if tx.node.role == "agent" and _may_seat_itself(tx, planned.spec, site, before, can_run):
        seat = _own_seat(tx, site, 0, ())
        _append(tx, planned.id, site, "task.allocated", seat, actor)
    return planned.id, True


def _is_same(known: Task, planned: Spec) -> bool:
    """Say whether a submission asks for what is journaled, whoever asks.

    A client that repeats it at another node may be known there by another token, so the requester
    is no part of it: it stays the one who came first. Compared as bytes: to Python 1, 1.0 and true
    are equal, to a handler they are not.
    """
    asked = msgspec.structs.replace(planned, requester=known.spec.requester)
    return _canonical(known.spec) == _canonical(_spec(_canonical(asked)))


def _work(submission: Submission) -> tuple[str, dict[str, Any]]:
    """Return type and payload, from themselves or from the short form."""
    if submission.command is None:
        if submission.type is None:
            raise Invalid("a task needs type and payload, or command", (("$.type", "missing"),))
        if submission.payload is None:
            raise Invalid("a task needs type and payload, or command", (("$.payload", "missing"),))
        return submission.type, submission.payload
    if submission.type is not None or submission.payload is not None:
        text = "command stands for type and payload; give one or the other"
        raise Invalid(text, (("$.command", "given beside type or payload"),))
    try:
        argv = shlex.split(submission.command)
    except ValueError as error:
        raise Refused(
            f"the command cannot be split: {error}; balance its quotes",
            (("$.command", str(error)),),
        ) from error
    if not argv:
        raise Refused("the command is empty; name a program", (("$.command", "empty"),))
    return "command", {"argv": argv}


def _edges(submission: Submission, task_id: str) -> tuple[Edge, ...]:
    found: dict[str, Edge] = {}
    for index, given in enumerate(submission.after):
        edge = (
            Edge(given) if isinstance(given, str) else Edge(given.task, given.on, given.on_failure)
        )
        place = f"$.after[{index}]"
        if edge.task == task_id:
            raise Refused("a task cannot come after itself", ((place, "the task itself"),))
        if found.setdefault(edge.task, edge) != edge:
            raise Refused(
                f"after names {edge.task} twice, differently; name it once",
                ((place, "named before with other conditions"),),
            )
    return tuple(found.values())


def _bound(spec: Spec) -> None:
    """Refuse what the journal could not hold, while the place can still be named.

    JSON knows integers of any length and nesting of any depth, msgpack does not.
    """
    try:
        size = len(_canonical(spec))
    except (OverflowError, RecursionError) as error:
        raise Invalid(
            f"the payload cannot be stored: {error}", (("$.payload", str(error)),)
        ) from error
    if size > BODY_BYTES_MAX:
        raise TooLarge(f"a task of {size} bytes; at most {BODY_BYTES_MAX}")


def _predecessor(tx: Transaction, edge: Edge, site: str) -> Task:
    """Return the task that an edge names.

    As it must exist before it can be named, and edges never change, tasks cannot come after each
    other in a circle: there is none to look for.
    """
    task = tasks.read(tx.record("task", edge.task))
    if task is None or task.site != site:
        raise Refused(
            f"after names {edge.task}, which is not known here; submit it first, or at the hub",
            (("$.after", f"{edge.task} is not known"),),
        )
    return task


def _may_seat_itself(
    tx: Transaction, spec: Spec, site: str, before: list[Task], can_run: CanRun | None
) -> bool:
    if spec.device not in (None, tx.node.device):
        return False
    if can_run is None or not can_run(spec):
        return False
    mine = _incarnation(tx, site)
    return all(_settled_here(tx, task, mine) for task in before)


def _settled_here(tx: Transaction, task: Task, incarnation: str) -> bool:
    """Whether this agent will know, on its own, how a predecessor ends.

    It holds its seat, or the end is one that nothing changes any more. Of others only the hub can
    tell.
    """
    if task.status in FINAL:
        return True
    allocation = task.allocation
    return (
        allocation is not None
        and allocation.device == tx.node.device
        and allocation.incarnation == incarnation
        and allocation.epoch in (None, tx.node.hub_epoch)
    )


# ------------------------------------------------------------------ cancel


def cancel(tx: Transaction, task_id: str, actor: str, seen: Vector | None = None) -> None:
    """Cancel a task that nobody has, at once; ask for it of whoever has it.

    Asking again changes nothing.

    Args:
        tx: The transaction.
        task_id: Of the task.
        actor: Who cancels.
        seen: What the caller had seen of the record; None: what this node shows.

    Raises:
        NotFound: No such task here.
        IllegalMove: It has ended, or nobody knows whether it did.
    """
    record, task = _known(tx, task_id)
    if task.status in ENDED:
        raise IllegalMove(f"the task is {task.status} already; nothing is left to cancel")
    if task.status is Status.UNKNOWN:
        raise IllegalMove("nobody knows how the task ended, so it cannot be cancelled; settle it")
    if task.cancel_asked:
        return
    at_hub = tx.node.role == "hub"
    if task.allocation is not None or not at_hub:
        _append(tx, task_id, task.site, "task.cancel_requested", CancelRequest(), actor, seen)
    if task.allocation is None and (at_hub or _known_here_alone(tx, record)):
        # An agent writes both: had its submission reached the hub and been allocated there after
        # all, this status is refused, and the request remains for the device to answer.
        progress = Progress(move(task.status, Signal.CANCEL), reason=f"cancelled by {actor}")
        _append(tx, task_id, task.site, "task.status", progress, actor)


def _known_here_alone(tx: Transaction, record: Record) -> bool:
    """Whether a submission was written on this agent and is not known to have reached the hub."""
    submitted = records.latest(record.register(tasks.SPEC))
    if submitted is None:
        return False
    log = tx.node.logs.get(submitted.header.origin)
    return log is not None and bool(log.own) and submitted.header.seq > log.acked


# ------------------------------------------------------------------ retry


def retry(tx: Transaction, task_id: str, actor: str, seen: Vector | None = None) -> None:
    """Let a dead task run again on its device, under a new allocation.

    Args:
        tx: The transaction.
        task_id: Of the task.
        actor: Who wants it.
        seen: Not used: a seat has one author, so nothing can be concurrent with it.

    Raises:
        NotFound: No such task here.
        IllegalMove: It is not dead; or another comes after it, which may have acted on its end; or
            the hub gave it its device, and this is not the hub.
    """
    del seen
    _, task = _known(tx, task_id)
    if task.status is not Status.DEAD:
        raise IllegalMove(f"the task is {task.status}; only a dead one can be retried")
    followers = tx.query("SELECT task FROM edges WHERE after = $1 ORDER BY task LIMIT 1", task_id)
    if followers:
        raise IllegalMove(
            f"{followers[0][0]} comes after this task and may have acted on its end; "
            "submit it anew instead"
        )
    if tx.node.role == "hub":
        _retry_at_hub(tx, task, actor)
    else:
        _retry_here(tx, task, actor)
    if task.cancel_asked:  # else the holder would cancel what this person wants to run
        withdrawal = CancelRequest(withdrawn=True)
        _append(tx, task.id, task.site, "task.cancel_requested", withdrawal, actor)


def _retry_at_hub(tx: Transaction, task: Task, actor: str) -> None:
    held = task.allocation
    if held is None:  # nobody ever had it: it waits to be allocated
        progress = Progress(move(task.status, Signal.RETRY), reason=f"retried by {actor}")
        _append(tx, task.id, task.site, "task.status", progress, actor)
        return
    known = tx.query("SELECT incarnation FROM devices WHERE id = $1", held.device)
    incarnation = known[0][0] if known else held.incarnation
    allocation = Allocation(tx.node.epoch, held.n + 1, held.device, incarnation)
    holders = tuple(dict.fromkeys((*task.holders, held.device)))
    _append(tx, task.id, task.site, "task.allocated", Seat(allocation, holders), actor)


def _retry_here(tx: Transaction, task: Task, actor: str) -> None:
    held = task.allocation
    if held is None or held.epoch is not None or held.device != tx.node.device:
        raise IllegalMove("only the hub can retry a task that this agent did not give itself")
    seat = _own_seat(tx, task.site, held.n + 1, task.holders)
    _append(tx, task.id, task.site, "task.allocated", seat, actor)


# ------------------------------------------------------------------ priority


def set_priority(
    tx: Transaction, task_id: str, priority: Priority, actor: str, seen: Vector | None = None
) -> None:
    """Change the priority of a task that waits.

    Raises:
        NotFound: No such task here.
        IllegalMove: It no longer waits, or is to be cancelled.
    """
    _, task = _known(tx, task_id)
    if task.status is not Status.WAITING:
        raise IllegalMove(f"the task is {task.status}; only a waiting one changes its priority")
    if task.cancel_asked:
        raise IllegalMove("the task is being cancelled; its priority no longer matters")
    if task.priority is priority:
        return
    body = PriorityRequest(priority)
    _append(tx, task_id, task.site, "task.priority_requested", body, actor, seen)


# ------------------------------------------------------------------ parts


def _known(tx: Transaction, task_id: str) -> tuple[Record, Task]:
    record = tx.record("task", task_id)
    task = tasks.read(record)
    if task is None:
        raise NotFound(f"no task {task_id} is known here")
    return record, task


def _incarnation(tx: Transaction, site: str) -> str:
    return events.incarnation_of(tx.node.writes[site])


def _own_seat(tx: Transaction, site: str, n: int, holders: tuple[str, ...]) -> Seat:
    """Return an agent's own seat: no epoch, as no hub gave it."""
    device = tx.node.device
    allocation = Allocation(None, n, device, _incarnation(tx, site))
    return Seat(allocation, tuple(dict.fromkeys((*holders, device))))


def _append(
    tx: Transaction,
    task_id: str,
    site: str,
    kind: str,
    body: msgspec.Struct,
    actor: str,
    seen: Vector | None = None,
) -> None:
    tx.append(
        site=site,
        kind=kind,
        subject=task_id,
        register=tasks.REGISTER_OF[kind],
        body=body,
        actor=actor,
        seen=seen,
    )
