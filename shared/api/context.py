"""What the routes of both ends know of the node that serves them; built once, in ``app.py``."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from shared.api import task_actions
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Spec
from shared.core.record import Record
from shared.core.task_view import Absence
from shared.core.waiting import StatusOf, Waiting
from shared.replica import Replica
from shared.store.transaction import Reading, Transaction

Explain = Callable[[Task, StatusOf, int], Waiting | None]
# What a question in words is answered, given the reading, the site and the question.
Ask = Callable[[Reading, str, str], msgspec.Struct]
Away = Callable[[Reading, str], Absence | None]  # of a device; None: it is here, or nobody knows
Retry = Callable[[Transaction, str, str, str | None], None]  # task, actor, reason


class Sample(msgspec.Struct, frozen=True):
    """One number of ``/metrics``: name without prefix, value, labels."""

    name: str
    value: float
    labels: Mapping[str, str] = {}


def no_samples() -> Iterable[Sample]:
    """Return nothing: a node that has no numbers of its own."""
    return ()


def no_types(_reading: Reading) -> Iterable[tuple[str, str]]:
    """Return nothing: a node that knows of no types but those of its tasks."""
    return ()


def never_stale(_record: Record) -> bool:
    """Say no: a node without drivers hears of machines through the journal only."""
    return False


def nobody_is_away(_reading: Reading, _device: str) -> Absence | None:
    """Return nothing: an agent cannot tell whether others are here."""
    return None


@dataclass(frozen=True, kw_only=True)
class NodeContext:
    """This node, as the routes need it.

    ``explain``, ``is_stale`` and ``can_run`` are called on database threads: they may read what
    the event loop replaces as a whole, and change nothing.

    Attributes:
        replica: Journal and records.
        role: ``agent`` or ``hub``.
        id: Name of the device; the hub's name at a hub.
        sites: Sites that this node serves.
        version: Of the program.
        tokens: Token by actor.
        hosts: Names beside the loopback ones under which the node may be called.
        now_ms: Wall clock, Unix ms.
        new_id: Mints a UUIDv7.
        explain: Why a waiting task waits here; None: it does not.
        away: Whether a device is away, and since when.
        is_stale: Whether the report that a piece of equipment shows is no longer fresh.
        can_run: Agent: whether this device takes such a task; None: this node runs none.
        retry: Lets a dead task run again, as far as this node may.
        ask: Hub: answers questions about free times; None: this node reads none.
        types: Site and type of the tasks that devices run, as far as this node knows.
        samples: Numbers for ``/metrics`` that only this end has.
    """

    replica: Replica
    role: str
    id: str
    sites: tuple[str, ...]
    version: str
    tokens: Mapping[str, str]
    hosts: frozenset[str]
    now_ms: Callable[[], int]
    new_id: Callable[[], str]
    explain: Explain
    away: Away = nobody_is_away
    is_stale: Callable[[Record], bool] = never_stale
    can_run: Callable[[Spec], bool] | None = None
    retry: Retry = task_actions.retry
    ask: Ask | None = None
    types: Callable[[Reading], Iterable[tuple[str, str]]] = no_types
    samples: Callable[[], Iterable[Sample]] = no_samples


def nothing_else(_reading: Reading, _subject: str) -> list[str]:
    """Return no subjects: nothing else is shown anew when one of a kind changes."""
    return []


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic of ``/api/live``.

    Attributes:
        name: As subscribers write it.
        kind: Kind of change that it is about (``shared.store.transaction.Change``).
        render: Subject to what GET gives of it, or None: it is gone.
        one: Prefix of the topic of a single subject, ``task:``; empty: there is none.
        also: Subjects that show something else, too, when one has changed.
    """

    name: str
    kind: str
    render: Callable[[Reading, str], msgspec.Struct | None]
    one: str = ""
    also: Callable[[Reading, str], list[str]] = nothing_else
