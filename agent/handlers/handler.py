"""The Protocol that every handler keeps, and the values that cross it.

A handler of your own comes as an entry point of the group ``skerry.handlers``: its name is the
task type, its object is called without arguments and returns the handler.

    [project.entry-points."skerry.handlers"]
    deliver = "my_robot.deliver:Deliver"

``docs/handlers.md`` has the contract in words, ``docs/examples/spool`` a whole package.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import field

from shared.api import body as bodies
from shared.core.kinds.task_bodies import Failure
from shared.errors import Invalid, SkerryError

PROGRESS_BYTES_MAX = 4096
"""As JSON. It is for people, is told often, and may travel to the hub each time."""

SAVED_BYTES_MAX = 64 * 1024
"""As JSON. It names how far a run got; what it made belongs into files."""

WHERE = frozenset({"zone", "at"})
"""Keys of any payload by which the hub chooses a device that is near (docs/tasks.md)."""

Output = Mapping[str, Any]
"""What an attempt leaves for people: keys of the handler's choice, values that JSON can hold."""


T = TypeVar("T", bound=msgspec.Struct)


class Notes(Protocol):
    """Where a run's notes go. What it is given is plain JSON of a bounded size, and nobody else's.

    Whoever makes notes durable brings an object of this shape; ``LatestNotes`` is the one in
    memory.
    """

    @property
    def saved(self) -> Any:
        """What the task saved last, in this run or an earlier one; None: nothing yet."""

    def progress(self, value: dict[str, Any]) -> None:
        """Take the newest progress; also a sign of life. Called often: must not block, or raise."""

    async def save(self, state: Any) -> None:
        """Return once ``state`` is as durable as the notes make it.

        Raises:
            StoreError: It was not kept; the run must not go on as if it were.
        """


class LatestNotes:
    """The newest notes of a run, in memory.

    Attributes:
        saved: What was saved last.
        latest: The newest progress; None: none yet. Older values are dropped: a robot that tells
            each step of its wheels needs one line on a board, not a thousand.
        beats: How many signs of life there were. Whoever watches a heartbeat looks whether this
            has changed since it looked last, by a clock of its own.
    """

    def __init__(self, saved: Any = None) -> None:
        self.saved = saved
        self.latest: dict[str, Any] | None = None
        self.beats = 0

    def progress(self, value: dict[str, Any]) -> None:
        """Keep it in place of the one before."""
        self.latest = value
        self.beats += 1

    async def save(self, state: Any) -> None:
        """Keep it; that something was finished is a sign of life too."""
        self.saved = state
        self.beats += 1


class Run(msgspec.Struct, frozen=True):
    """One run of a task.

    Attributes:
        task_id: The task.
        attempt_id: This run of it; children of a process carry it.
        number: Which run, from 1.
        payload: As submitted; ``check`` has passed it.
        idempotency_key: The same for every run of the task: hand it to whatever acts outside, so
            that a run repeated after a crash can be recognised there.
        folder: Data folder of the agent.
        notes: Where progress and saved state go; handlers call the methods below instead.
        heartbeat_s: How long it may go without progress before it is stopped; None: for ever.
    """

    task_id: str
    attempt_id: str
    number: int
    payload: Mapping[str, Any]
    idempotency_key: str
    folder: Path
    notes: Notes = field(default_factory=LatestNotes)
    heartbeat_s: float | None = None

    @property
    def saved(self) -> Any:
        """What an earlier run of this task saved last, or this one; None: start at the beginning.

        The step after it may have been done and not saved: do it so that a second time is harmless.
        """
        return self.notes.saved

    def progress(self, value: Mapping[str, Any]) -> None:
        """Tell how far the run is, and that it lives. Cheap: tell it as often as you know more.

        Only the newest value is kept, and shown at the pace of whoever shows it.

        Args:
            value: Keys of your choice; at most PROGRESS_BYTES_MAX as JSON.

        Raises:
            ValueError: It is too large, or JSON cannot hold it.
        """
        self.notes.progress(_plain(dict(value), PROGRESS_BYTES_MAX, "progress"))

    async def save(self, state: Any) -> None:
        """Keep ``state`` for a later run of this task; call it after a step, before the next.

        Args:
            state: Any JSON; at most SAVED_BYTES_MAX of it. It replaces what was saved before.

        Raises:
            ValueError: It is too large, or JSON cannot hold it.
            StoreError: It could not be kept.
        """
        await self.notes.save(_plain(state, SAVED_BYTES_MAX, "saved state"))


class HandlerFailed(SkerryError):
    """The run ended without success, and the handler knows why.

    Attributes:
        failure: Kind, sentence, and whether another attempt is of no use.
        output: What it left nevertheless.
        retry_after_s: The other side asked not to be tried sooner, seconds; None: it did not say.
    """

    def __init__(
        self, failure: Failure, output: Output | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.output = output
        self.retry_after_s = retry_after_s


class OutcomeUnknown(HandlerFailed):
    """It may have acted, and nobody here can tell: a machine was told something and is silent.

    The task becomes ``unknown`` for a person to settle, unless its ``on_orphan`` declares a second
    run harmless; then it is a failure like any other.
    """


class HandlerStopped(asyncio.CancelledError):
    """The run has ended because it was told to, and left this output: raised in place of its cause.

    Attributes:
        output: What it left.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output


class Handler(Protocol):
    """Runs tasks of one type."""

    @property
    def type(self) -> str:
        """Type of the tasks that it runs."""

    @property
    def timeout_s(self) -> float:
        """How long a run may take if its task does not say, seconds."""

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether a payload can be run at all; quick, and without effect.

        Raises:
            Rejected: With the place of what is wrong, ``$.payload.argv``. The task is not retried.
        """

    async def run(self, run: Run) -> Output:
        """Do it, never blocking the loop; return once it has really ended.

        Being cancelled means: stop. Then end what acts, within ten seconds, before the
        CancelledError goes on: the task is not written as ended before that, and an agent that
        shuts down waits little longer. A run that could not be stopped any more may return what it
        achieved.

        Raises:
            HandlerFailed: It did not succeed. Any other exception counts as a failure to retry.
        """


def read_payload(payload: Mapping[str, Any], shape: type[T], type_: str) -> T:
    """Return a payload as the Struct that its handler expects, without what is for the hub alone.

    Raises:
        Invalid: It has another shape; names each place as ``$.payload.seconds``.
    """
    try:
        own = {key: value for key, value in payload.items() if key not in WHERE}
        return msgspec.convert(own, shape)
    except msgspec.ValidationError as error:
        wrong = bodies.invalid(error, shape, beneath="$.payload")
        raise Invalid(f"payload of type {type_}: {wrong.detail}", wrong.places) from error


def _plain(value: Any, bytes_max: int, what: str) -> Any:
    """Return a copy that is plain JSON: whoever keeps it must not see it change, or fail on it."""
    try:
        text = msgspec.json.encode(value)
        plain = msgspec.json.decode(text)
    except (TypeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{what}: {error}") from error
    if len(text) > bytes_max:
        raise ValueError(f"{what} has {len(text)} bytes, at most {bytes_max} are kept")
    return plain
