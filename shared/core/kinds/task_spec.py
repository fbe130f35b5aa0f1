"""What is asked for: the body of ``task.submitted``, which never changes, nor do its defaults."""

import enum
from typing import Annotated, Any

import msgspec

from shared.core.ids import Name, Uuid7

SECONDS_MAX = 366 * 24 * 3600
AFTER_MAX = 100
ATTEMPTS_MAX = 100
LOCKS_MAX = 20
CHECKS_MAX = 10
KEY_MAX = 200
TITLE_MAX = 200
LOCAL = "local:"  # prefix of a lock that is the device's own; the hub grants all others


class Priority(enum.IntEnum):
    """Urgency; the lower number goes first. Stored and sent: never renumbered."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def word(self) -> str:
        """Name in the API."""
        return self.name.lower()


PRIORITY_WORDS = {p.word: p for p in Priority}


class On(enum.StrEnum):
    """When an edge opens: the predecessor succeeded, or ended in any way."""

    SUCCESS = "success"
    END = "end"


class OnFailure(enum.StrEnum):
    """What becomes of a task whose ``success`` edge can no longer open."""

    CANCEL = "cancel"
    BLOCK = "block"


class OnOrphan(enum.StrEnum):
    """What a restarted agent does with a run that it was in the middle of."""

    REQUEUE = "requeue"  # declares a second run harmless
    RESUME = "resume"  # declares going on from the last saved step harmless
    ASK = "ask"  # the outcome is unknown: a person decides


class Offline(enum.StrEnum):
    """Whether a device may start a task without asking the hub at that moment."""

    KEEP = "keep"  # whenever it likes, however long it is away
    RELEASE = "release"  # with the hub's permit for this claim only


class Unreachable(enum.StrEnum):
    """What becomes of a task while a check of it cannot be asked."""

    WAIT = "wait"
    PROCEED = "proceed"
    FAIL = "fail"


Seconds = Annotated[float, msgspec.Meta(ge=0, le=SECONDS_MAX)]


class Edge(msgspec.Struct, frozen=True, gc=False):
    """An order constraint: not before ``task`` has got that far."""

    task: Uuid7
    on: On = On.SUCCESS
    on_failure: OnFailure = OnFailure.CANCEL


class Retry(msgspec.Struct, frozen=True, gc=False):
    """Exponential backoff with full jitter, seconds."""

    base_s: Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)] = 1.0
    max_s: Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)] = 300.0


class Check(msgspec.Struct, frozen=True, gc=False):
    """A question to a third party before the start: is the syringe in stock?

    Attributes:
        name: Of a check in the device's settings, which say whom to ask.
        ask: What to ask; sent as it is.
        if_unreachable: What to do while nobody answers.
    """

    name: Name
    ask: dict[str, Any] = {}
    if_unreachable: Unreachable = Unreachable.WAIT


# ``local:x`` is the device's own, any other name is granted by the hub.
Lock = Annotated[str, msgspec.Meta(pattern=r"^(local:)?[a-z0-9][a-z0-9._-]{0,62}$(?!\n)")]
# One line: it stands in lists.
Title = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=TITLE_MAX, pattern=r"^[^\x00-\x1f\x7f]*$(?!\n)"),
]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=KEY_MAX)]


class Spec(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Body of ``task.submitted``: what is asked for; it never changes.

    Attributes:
        type: Its queue, and the handler that runs it.
        payload: What the handler gets.
        priority: Urgency as submitted.
        requester: Who asked for it.
        device: The one device that may run it, or None: whichever fits.
        requires: Capabilities that its device must have.
        after: Predecessors.
        not_before_ms: Not to start earlier, Unix ms.
        start_to_close_s: Longest run of one attempt; None: the handler's own limit.
        max_attempts: Attempts under one allocation.
        retry: Backoff between them.
        on_orphan: What becomes of a run that a restart interrupts.
        group: Tasks of one group run one at a time, strictly in order of submission.
        locks: What it needs for itself alone while it runs.
        checks: Asked before the start.
        deadline_ms: When it should be done, Unix ms: among equals the earlier goes first.
        schedule_to_start_s: It expires if it has not started so long after its submission.
        schedule_to_close_s: It expires, or is stopped for good, so long after its submission.
        heartbeat_s: A run that reports nothing for so long is taken for stuck and stopped.
        offline: Whether its device may start it without the hub's permit.
        repeatable: With ``release``: may be dealt again after silence; a second run is harmless.
        unique: While a task of this type and key is not over, no second one is made.
        title: For people; None: its type and payload say what it is.
    """

    type: Name
    payload: dict[str, Any]
    priority: Priority
    requester: str
    device: Name | None = None
    requires: tuple[Name, ...] = ()
    after: tuple[Edge, ...] = ()
    not_before_ms: int | None = None
    start_to_close_s: Seconds | None = None
    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=ATTEMPTS_MAX)] = 3
    retry: Retry = Retry()
    on_orphan: OnOrphan = OnOrphan.ASK
    group: Name | None = None
    locks: tuple[Lock, ...] = ()
    checks: tuple[Check, ...] = ()
    deadline_ms: int | None = None
    schedule_to_start_s: Seconds | None = None
    schedule_to_close_s: Seconds | None = None
    heartbeat_s: Seconds | None = None
    offline: Offline = Offline.KEEP
    repeatable: bool = False
    unique: Key | None = None
    title: Title | None = None

    @property
    def local_locks(self) -> tuple[str, ...]:
        """Locks that are the device's own."""
        return tuple([lock for lock in self.locks if lock.startswith(LOCAL)])

    @property
    def shared_locks(self) -> tuple[str, ...]:
        """Locks that the hub grants."""
        return tuple([lock for lock in self.locks if not lock.startswith(LOCAL)])

    @property
    def asks_hub(self) -> bool:
        """Whether a device that the hub gave it may start it with the hub's permit only."""
        return self.offline is Offline.RELEASE or bool(self.locks and self.shared_locks)
