"""When a run is stopped though it has not ended: durations by the boot clock, sleep included."""

import enum
from collections.abc import Iterable

import msgspec

from shared.core.kinds.task import Task


class Stop(enum.Enum):
    """Why a run is stopped."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"  # this attempt takes longer than it may
    CLOSE = "close"  # the task does, since its submission
    SILENCE = "silence"  # no heartbeat
    SHUTDOWN = "shutdown"


class Deadline(msgspec.Struct, frozen=True):
    """When a run is stopped, by the boot clock in ms, and why."""

    at_ms: int
    why: Stop


def deadline(task: Task, timeout_s: float, *, now_ms: int, boot_ms: int) -> Deadline:
    """Return when a run that starts now is stopped, however lively it is.

    Args:
        task: The task; what its record says counts from its submission, by the wall clock.
        timeout_s: Of its handler, if the task does not say how long an attempt may take.
        now_ms: Wall clock, Unix ms.
        boot_ms: Boot clock.
    """
    spec = task.spec
    limit_s = spec.start_to_close_s or timeout_s
    attempt = Deadline(boot_ms + round(limit_s * 1000), Stop.TIMEOUT)
    if spec.schedule_to_close_s is None:
        return attempt
    left_ms = task.created_ms + round(spec.schedule_to_close_s * 1000) - now_ms
    whole = Deadline(boot_ms + left_ms, Stop.CLOSE)
    return whole if whole.at_ms <= attempt.at_ms else attempt


def pause_s(
    deadlines: Iterable[Deadline],
    wake_ms: int | None,
    *,
    now_ms: int,
    boot_ms: int,
    tick_s: float,
) -> float | None:
    """Return how long nothing will happen by itself, in seconds; None: for ever.

    Args:
        deadlines: Of the runs.
        wake_ms: When a waiting task may start, Unix ms.
        now_ms: Wall clock, Unix ms.
        boot_ms: Boot clock.
        tick_s: Longest pause while anything waits for a time: a wall clock jumps.
    """
    pauses = [(one.at_ms - boot_ms) / 1000 for one in deadlines]
    if wake_ms is not None:
        pauses.append((wake_ms - now_ms) / 1000)
    return max(0.0, min(tick_s, *pauses)) if pauses else None
