"""One attempt: the handler's run, how it ended, and what follows for the task."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from agent.handlers.handler import (
    Handler,
    HandlerFailed,
    HandlerStopped,
    OutcomeUnknown,
    Output,
    Run,
)
from agent.timers import Deadline, Stop
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import (
    Attempt,
    Failure,
    Outcome,
    Progress,
    Reported,
)
from shared.core.kinds.task_spec import ATTEMPTS_MAX, OnOrphan, Retry
from shared.core.lifecycle import Signal, Status, move
from shared.errors import Rejected

OUTPUT_BYTES_MAX = 448 * 1024  # an event takes 512 KiB; the rest of it needs a little
MESSAGE_MAX = 2000

log = logging.getLogger(__name__)


class Succeeded(msgspec.Struct, frozen=True):
    """The handler returned."""

    output: dict[str, Any]


class Failed(msgspec.Struct, frozen=True):
    """The handler said that it failed, or did so by surprise.

    Attributes:
        failure: Why.
        output: What the run left.
        retry_after_s: Not to be tried again sooner, seconds.
        is_unknown: It may have succeeded, for all we know.
    """

    failure: Failure
    output: dict[str, Any] | None = None
    retry_after_s: float = 0.0
    is_unknown: bool = False


class Stopped(msgspec.Struct, frozen=True):
    """The run was ended by us.

    Attributes:
        why: What for.
        acted: Whether the handler had been called at all.
        output: What the run left.
    """

    why: Stop
    acted: bool = True
    output: dict[str, Any] | None = None


Result = Succeeded | Failed | Stopped


class Acting:
    """An attempt under way, and the way to stop it.

    Args:
        task: As it was when the attempt started.
        attempt: The attempt.
        end: When it is stopped however lively it is.
        boot_ms: Boot clock.
    """

    def __init__(
        self, task: Task, attempt: Attempt, *, end: Deadline, boot_ms: Callable[[], int]
    ) -> None:
        self.task = task
        self.attempt = attempt
        self.why: Stop | None = None
        self.beat_deadline: int | None = None  # boot clock; None: it need not beat
        self.last_word: Reported | None = None  # said, and not written when it ended
        self._end = end
        self._boot_ms = boot_ms
        self._runner: asyncio.Task[Any] | None = None
        self._cancels = 0
        self.beat()

    @property
    def deadline(self) -> Deadline:
        """When it is stopped, unless it beats before that or ends."""
        if self.beat_deadline is None or self._end.at_ms <= self.beat_deadline:
            return self._end
        return Deadline(self.beat_deadline, Stop.SILENCE)

    def beat(self) -> None:
        """Note a sign of life: from now on it may be silent for ``heartbeat_s`` again."""
        heartbeat_s = self.task.spec.heartbeat_s
        if heartbeat_s is not None:
            self.beat_deadline = self._boot_ms() + round(heartbeat_s * 1000)

    def stop(self, why: Stop) -> None:
        """Have the run end; the first reason counts. Without effect once the handler returned."""
        self.why = self.why or why
        if self._runner is not None:
            self._cancels += 1
            self._runner.cancel()

    async def perform(self, handler: Handler, run: Run) -> Result:
        """Run the handler to its end, however that comes.

        Raises:
            CancelledError: Somebody else than ``stop`` cancelled us.
        """
        try:
            handler.check(run.payload)
            if self.why is not None:
                return Stopped(self.why, acted=False)
            return Succeeded(fitting(await self._act(handler, run)))
        except asyncio.CancelledError as error:
            return self._cancelled(error.output if isinstance(error, HandlerStopped) else None)
        except HandlerFailed as error:
            return Failed(
                error.failure,
                None if error.output is None else fitting(error.output),
                retry_after_s=max(0.0, error.retry_after_s or 0.0),
                is_unknown=isinstance(error, OutcomeUnknown),
            )
        except Rejected as error:
            return Failed(Failure("invalid", error.detail, permanent=True))
        except Exception as error:  # promise 6: one bad run never stops the rest
            log.exception("attempt %s of %s failed", self.attempt.id, self.task.id)
            return Failed(Failure(type(error).__name__, str(error)[:MESSAGE_MAX]))

    async def _act(self, handler: Handler, run: Run) -> Output:
        self._runner = asyncio.current_task()
        try:
            return await handler.run(run)
        finally:
            self._unwind()

    def _unwind(self) -> None:
        """Take back our own requests to cancel: what is left are other people's."""
        runner, self._runner = self._runner, None
        if runner is not None:
            for _ in range(self._cancels):
                runner.uncancel()

    def _cancelled(self, output: Output | None) -> Result:
        runner = asyncio.current_task()
        if runner is not None and runner.cancelling():
            raise asyncio.CancelledError
        if self.why is None:
            return Failed(Failure("cancelled-itself", "the handler gave up without a reason"))
        return Stopped(self.why, output=None if output is None else fitting(output))


def fitting(output: Output) -> dict[str, Any]:
    """Return an output that an event can hold and JSON can show.

    What does not fit is replaced by a note: the run has ended as it ended, whatever it left.
    """
    try:
        plain: Any = msgspec.json.decode(msgspec.json.encode(output))
        size = len(msgspec.msgpack.encode(plain))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        return {"omitted": f"the output cannot be stored: {error}"[:MESSAGE_MAX]}
    if not isinstance(plain, dict):
        return {"omitted": f"the output is a {type(plain).__name__}, not an object"}
    if size > OUTPUT_BYTES_MAX:
        return {"omitted": f"the output has {size} bytes, at most {OUTPUT_BYTES_MAX} are kept"}
    return plain


# ------------------------------------------------------------------ what follows: pure


def conclude(task: Task, result: Result, *, now_ms: int, jitter: float) -> Progress:
    """Return the move that the end of the newest attempt makes.

    Args:
        task: Running or cancelling.
        result: How the attempt ended.
        now_ms: Wall clock, Unix ms.
        jitter: Chance in [0, 1) that spreads the retry.
    """
    match result:
        case Succeeded(output):
            return _ended(task, Signal.SUCCEED, Outcome.SUCCEEDED, now_ms, output=output)
        case Failed():
            return _failed(task, result, Outcome.FAILED, now_ms, jitter)
        case Stopped():
            return _stopped(task, result, now_ms, jitter)


def _stopped(task: Task, stopped: Stopped, now_ms: int, jitter: float) -> Progress:
    output = stopped.output
    match stopped.why:
        case Stop.TIMEOUT:
            limit_s = task.spec.start_to_close_s  # None: as long as its handler lets any run
            most = "it may" if limit_s is None else f"{limit_s:g} s"
            failure = Failure("timed-out", f"it took longer than {most}, and was ended")
            return _failed(task, Failed(failure, output), Outcome.TIMED_OUT, now_ms, jitter)
        case Stop.CLOSE:
            text = f"it was not done within {task.spec.schedule_to_close_s:g} s of its submission"
            failure = Failure("timed-out", text, permanent=True)
            return _failed(task, Failed(failure, output), Outcome.TIMED_OUT, now_ms, jitter)
        case Stop.SILENCE:
            text = f"it reported nothing for {task.spec.heartbeat_s:g} s, and was ended"
            failure = Failure("heartbeat-missed", text)
            return _failed(task, Failed(failure, output), Outcome.TIMED_OUT, now_ms, jitter)
        case Stop.CANCEL:
            stopping, reason = _cancelling(task), task.why_cancel
            ended = Outcome.CANCELLED
            return _ended(stopping, Signal.CANCEL, ended, now_ms, reason=reason, output=output)
        case Stop.SHUTDOWN:
            is_idle = not stopped.acted
            return abandon(task, now_ms=now_ms, repeatable=is_idle, reason="the agent stopped")


def abandon(task: Task, *, now_ms: int, repeatable: bool, reason: str) -> Progress:
    """Return the move of a run that the end of the agent's process ended.

    Args:
        task: Running or cancelling.
        now_ms: Wall clock, Unix ms.
        repeatable: It is known not to have acted, whatever ``on_orphan`` says.
        reason: For people.
    """
    if not repeatable and task.spec.on_orphan is OnOrphan.ASK:
        return _ended(task, Signal.LOSE, Outcome.UNKNOWN, now_ms, reason=reason)
    if task.cancel_asked or task.status is Status.CANCELLING:
        return _ended(_cancelling(task), Signal.CANCEL, Outcome.LOST, now_ms, reason=reason)
    if task.attempts_made >= ATTEMPTS_MAX:
        reason = f"{reason}, for the {task.attempts_made}th time with this task"
        return _ended(task, Signal.DIE, Outcome.LOST, now_ms, reason=reason)
    return _ended(task, Signal.REQUEUE, Outcome.LOST, now_ms, reason=reason)


def _cancelling(task: Task) -> Task:
    """Return the task as one that is being cancelled, also where its end came before its answer.

    Or where it was taken from this device meanwhile: what is reported then is how the claim ended.
    """
    if task.status is not Status.RUNNING:
        return task
    return msgspec.structs.replace(task, status=move(task.status, Signal.ASK_CANCEL))


def _failed(task: Task, failed: Failed, outcome: Outcome, now_ms: int, jitter: float) -> Progress:
    failure = failed.failure
    if failed.is_unknown and task.spec.on_orphan is OnOrphan.ASK:
        signal, outcome = Signal.LOSE, Outcome.UNKNOWN
    elif task.status is Status.CANCELLING:  # asked to stop, it ended: the failure changes nothing
        return _ended(task, Signal.CANCEL, outcome, now_ms, error=failure, output=failed.output)
    elif failure.permanent or task.attempts_made >= task.spec.max_attempts:
        signal = Signal.DIE
    else:
        signal = Signal.FAIL
    ended = _ended(
        task, signal, outcome, now_ms, error=failure, output=failed.output, reason=failure.message
    )
    if signal is not Signal.FAIL:
        return ended
    wait_s = max(failed.retry_after_s, backoff_s(task.spec.retry, task.attempts_made, jitter))
    return msgspec.structs.replace(ended, not_before_ms=now_ms + round(1000 * wait_s))


def backoff_s(retry: Retry, attempts_made: int, jitter: float) -> float:
    """Return how long to wait before the next attempt: exponential, capped, full jitter.

    Source: Brooker, Exponential Backoff and Jitter, 2015.
    """
    ceiling_s: float = min(retry.max_s, retry.base_s * 2.0 ** (attempts_made - 1))
    return ceiling_s * jitter


def _ended(
    task: Task,
    signal: Signal,
    outcome: Outcome,
    now_ms: int,
    *,
    error: Failure | None = None,
    output: dict[str, Any] | None = None,
    reason: str | None = None,
) -> Progress:
    assert task.attempt is not None
    attempt = msgspec.structs.replace(
        task.attempt, ended_ms=now_ms, outcome=outcome, error=error, output=output
    )
    return Progress(move(task.status, signal), task.allocation, attempt, reason)
