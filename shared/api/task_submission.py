"""A task as a client submits it: decoded, checked, journaled.

A submission that is right in itself is planned without looking at any record; whether it fits the
records, ``submit`` sees in its transaction. An agent that can run it takes the seat there and then.
"""

import datetime
import shlex
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec

from shared.api import task_events
from shared.core import doubt, instants
from shared.core.event import BODY_BYTES_MAX
from shared.core.ids import Name, Uuid7
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import (
    AFTER_MAX,
    ATTEMPTS_MAX,
    CHECKS_MAX,
    LOCKS_MAX,
    PRIORITY_WORDS,
    SECONDS_MAX,
    Check,
    Edge,
    Key,
    Lock,
    Offline,
    On,
    OnFailure,
    OnOrphan,
    Retry,
    Spec,
    Title,
    Unreachable,
)
from shared.core.lifecycle import FINAL, Status
from shared.errors import Clash, Invalid, Refused, TooLarge
from shared.store.transaction import Transaction

REQUIRES_MAX = 50
COMMAND_CHARS_MAX = 64 * 1024
HARMLESS_TWICE = frozenset({"wait", "http"})  # SHAPES: these are requeued by default

PriorityWord = Literal["critical", "high", "normal", "low"]
PositiveSeconds = Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)]
UNFINISHED_ALIKE = """SELECT id FROM tasks WHERE site = $1 AND type = $2 AND unique_key = $3
    AND status IN ('waiting', 'running', 'cancelling', 'unknown') ORDER BY id LIMIT 1"""

CanRun = Callable[[Spec], bool]
_encode = msgspec.msgpack.Encoder().encode
_canonical = msgspec.msgpack.Encoder(order="deterministic").encode
_spec = msgspec.msgpack.Decoder(Spec).decode


class EdgeGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A predecessor with more than the defaults."""

    task: Uuid7
    on: On = On.SUCCESS
    on_failure: OnFailure = OnFailure.CANCEL


class CheckGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A question to a third party before the start; the device's settings say whom ``name`` is."""

    name: Name
    ask: dict[str, Any] = {}
    if_unreachable: Unreachable = Unreachable.WAIT


class RetryGiven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Exponential backoff with full jitter, seconds."""

    base_s: PositiveSeconds = 1.0
    max_s: PositiveSeconds = 300.0


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
        group: Tasks of one group run one at a time, strictly in order of submission.
        locks: What it needs for itself alone: ``local:NAME`` of its device, NAME of the site.
        checks: Asked of third parties before the start.
        deadline: When it should be done: among tasks of one priority the earlier goes first.
        schedule_to_start_s: It expires if it has not started so long after its submission.
        schedule_to_close_s: It expires, or is stopped for good, so long after its submission.
        heartbeat_s: A run that reports nothing for so long is stopped.
        offline: ``release``: its device starts it only with the hub's permit.
        repeatable: With ``release``: may be dealt again after silence.
        unique: While a task of this type and key is not over, it is returned instead of a second.
        title: For people, one line: lists show it in place of type and payload.
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
    start_to_close_s: PositiveSeconds | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] = 3
    retry: RetryGiven = RetryGiven()
    on_orphan: OnOrphan | None = None
    group: Name | None = None
    locks: Annotated[tuple[Lock, ...], msgspec.Meta(max_length=LOCKS_MAX)] = ()
    checks: Annotated[tuple[CheckGiven, ...], msgspec.Meta(max_length=CHECKS_MAX)] = ()
    deadline: Annotated[datetime.datetime, msgspec.Meta(tz=True)] | None = None
    schedule_to_start_s: PositiveSeconds | None = None
    schedule_to_close_s: PositiveSeconds | None = None
    heartbeat_s: PositiveSeconds | None = None
    offline: Offline = Offline.KEEP
    repeatable: bool = False
    unique: Key | None = None
    title: Title | None = None


class Planned(msgspec.Struct, frozen=True):
    """A submission that is right in itself; whether it fits the records, ``submit`` sees.

    Attributes:
        id: Of the task.
        site: As given, or None.
        spec: What will be journaled.
        given_at: Where in the submission's ``after`` each edge of the spec stands.
    """

    id: str
    site: str | None
    spec: Spec
    given_at: tuple[int, ...]


# ------------------------------------------------------------------ submit


def plan(submission: Submission, actor: str, now_ms: int, new_id: Callable[[], str]) -> Planned:
    """Turn a submission into what will be journaled.

    Args:
        submission: As decoded.
        actor: Who submits; becomes ``requester``.
        now_ms: Wall clock, Unix ms. What is accepted now, is accepted later as well: so that the
            same submission, repeated, is still the same.
        new_id: Makes a UUIDv7.

    Raises:
        Invalid: Neither ``type`` and ``payload`` nor ``command``, or both; a time before 1970.
        Refused: A command line that cannot be split; fields that contradict each other.
        TooLarge: More than one event may hold.
    """
    task_id = submission.id or new_id()
    type_, payload = _work(submission)
    harmless = OnOrphan.REQUEUE if type_ in HARMLESS_TWICE else OnOrphan.ASK
    _consistent(submission)
    _in_time(submission, now_ms)
    edges = _edges(submission, task_id)
    spec = Spec(
        type=type_,
        payload=payload,
        priority=PRIORITY_WORDS[submission.priority],
        requester=actor,
        device=submission.device,
        requires=tuple(dict.fromkeys(submission.requires)),
        after=tuple(edges),
        not_before_ms=_ms_or_none(submission.not_before, "not_before"),
        start_to_close_s=submission.start_to_close_s,
        max_attempts=submission.max_attempts,
        retry=Retry(submission.retry.base_s, submission.retry.max_s),
        on_orphan=submission.on_orphan or harmless,
        group=submission.group,
        locks=tuple(sorted(set(submission.locks))),
        checks=tuple(Check(c.name, c.ask, c.if_unreachable) for c in submission.checks),
        deadline_ms=_ms_or_none(submission.deadline, "deadline"),
        schedule_to_start_s=submission.schedule_to_start_s,
        schedule_to_close_s=submission.schedule_to_close_s,
        heartbeat_s=submission.heartbeat_s,
        offline=submission.offline,
        repeatable=submission.repeatable,
        unique=submission.unique,
        title=submission.title,
    )
    _bound(spec)
    return Planned(task_id, submission.site, spec, tuple(edges.values()))


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
        The id, and whether the task is new: the same submission again changes nothing, and one
        whose unique key an unfinished task of its type has already gives that task. Those that
        other nodes hold are not known here: of two that meet later the hub cancels one.

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
    if planned.spec.unique is not None:
        alike = tx.query(UNFINISHED_ALIKE, site, planned.spec.type, planned.spec.unique)
        if alike:
            return alike[0][0], False
    given = zip(planned.spec.after, planned.given_at, strict=True)
    before = [_predecessor(tx, edge, at, site) for edge, at in given]
    actor = planned.spec.requester
    task_events.append(tx, planned.id, site, "task.submitted", planned.spec, actor)
    seat = task_bodies.NOBODY
    if tx.node.role == "agent" and _may_seat_itself(tx, planned.spec, site, before, can_run):
        seat = task_events.own_seat(tx, site, 0, ())
        task_events.append(tx, planned.id, site, "task.allocated", seat, actor)
    if not record.is_known:  # else somebody was quicker with a wish about it
        tasks.submitted(tx.record("task", planned.id), planned.spec, seat)
    return planned.id, True


def _is_same(known: Task, planned: Spec) -> bool:
    """Say whether a submission asks for what is journaled, whoever asks.

    A client that repeats it at another node may be known there by another token, so the requester
    is no part of it: it stays the one who came first. Compared as bytes: to Python 1, 1.0 and true
    are equal, to a handler they are not.
    """
    asked = msgspec.structs.replace(planned, requester=known.spec.requester)
    return _journaled(known.spec) == _journaled(asked)


def _journaled(spec: Spec) -> bytes:
    """Return the one form of a submission: whoever wrote 1 for seconds, the journal has 1.0."""
    return _canonical(_spec(_canonical(spec)))


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


def _consistent(submission: Submission) -> None:
    """Refuse fields that contradict each other, each with its place."""
    if submission.repeatable and submission.offline is not Offline.RELEASE:
        raise Refused(
            "repeatable work is dealt again after silence, which only offline: release allows",
            (("$.repeatable", "needs offline: release"),),
        )
    if submission.repeatable and submission.start_to_close_s is None:
        raise Refused(
            "repeatable needs start_to_close_s: only after that does silence say anything",
            (("$.start_to_close_s", "missing beside repeatable"),),
        )
    names = [check.name for check in submission.checks]
    if len(set(names)) < len(names):
        raise Refused("checks name one check twice", (("$.checks", "named twice"),))


def _in_time(submission: Submission, now_ms: int) -> None:
    """Refuse a task that would have expired before it may start."""
    if submission.not_before is None:
        return
    wait_s = (instants.ms(submission.not_before) - now_ms) / 1000
    for name in ("schedule_to_start_s", "schedule_to_close_s"):
        limit_s: float | None = getattr(submission, name)
        if limit_s is not None and limit_s <= wait_s:
            words = f"it would expire {limit_s:g} s from now, before its not_before"
            raise Refused(
                f"{words}; {name} counts from the submission: give more than {wait_s:.0f}",
                ((f"$.{name}", words),),
            )


def _ms_or_none(moment: datetime.datetime | None, field: str) -> int | None:
    """Return an instant as Unix ms; before 1970 there are none."""
    if moment is None:
        return None
    ms = instants.ms(moment)
    if ms < 0:
        message = "write a date and time from 1970 on"
        raise Invalid(f"$.{field}: {message}", ((f"$.{field}", message),))
    return ms


def _edges(submission: Submission, task_id: str) -> dict[Edge, int]:
    """Return each edge and where it was given first."""
    found: dict[str, Edge] = {}
    at: dict[Edge, int] = {}
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
        at.setdefault(edge, index)
    return at


def _bound(spec: Spec) -> None:
    """Refuse what the journal could not hold, while the place can still be named.

    JSON knows integers of any length and nesting of any depth, msgpack does not.
    """
    try:
        size = len(_encode(spec))
    except (OverflowError, RecursionError) as error:
        raise Invalid(
            f"the payload cannot be stored: {error}", (("$.payload", str(error)),)
        ) from error
    if size > BODY_BYTES_MAX:
        raise TooLarge(
            f"a task of {size} bytes, at most {BODY_BYTES_MAX} are kept; "
            "put what is larger where its handler can read it, and its place into the payload"
        )


def _predecessor(tx: Transaction, edge: Edge, at: int, site: str) -> Task:
    """Return the task that an edge names.

    As it must exist before it can be named, and edges never change, tasks cannot come after each
    other in a circle: there is none to look for.
    """
    task = tasks.read(tx.record("task", edge.task))
    if task is None or task.site != site:
        raise Refused(
            f"after names {edge.task}, which is not known here; submit it first, or at the hub",
            ((f"$.after[{at}]", f"{edge.task} is not known"),),
        )
    return task


def _may_seat_itself(
    tx: Transaction, spec: Spec, site: str, before: list[Task], can_run: CanRun | None
) -> bool:
    if spec.device not in (None, tx.node.device) or spec.asks_hub:
        return False  # what only the hub permits, only the hub gives: nothing is proved here
    if can_run is None or not can_run(spec):
        return False
    if spec.shared_locks and tx.node.hub_epoch is not None:
        return False  # the hub grants them, and only to what it has given
    mine = task_events.incarnation(tx, site)
    return all(_settled_here(tx, task, mine) for task in before)


def _settled_here(tx: Transaction, task: Task, incarnation: str) -> bool:
    """Whether this agent will know, on its own, how a predecessor ends.

    It holds its seat, or the end is one that nothing changes any more. Of others only the hub can
    tell, also whether all ended that was dealt of one that was moved, and whether somebody there
    has a dead one retried.
    """
    if doubt.is_in_doubt(task):
        return False
    if task.status in FINAL:
        return True
    if task.status is Status.DEAD and tx.node.hub_epoch is not None:
        return False
    allocation = task.allocation
    return (
        allocation is not None
        and allocation.device == tx.node.device
        and allocation.incarnation == incarnation
        and allocation.epoch in (None, tx.node.hub_epoch)
    )
