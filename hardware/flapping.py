"""Pure: which of a driver's changes become events.

A value becomes an event once it has stood for the dwell, and at most REPORTS_MAX events start in
any WINDOW_MS. What is beyond that, or changes faster than the dwell for UNSETTLED_MS_MAX, becomes
one Flapping report that counts the changes it stands for and carries the newest value. So a loose
plug cannot fill the journal, and the newest value is never lost or late by more than the window.
"""

import msgspec

from hardware.driver import Observation

REPORTS_MAX = 10
WINDOW_MS = 60_000
UNSETTLED_MS_MAX = 10_000  # faster than the dwell for ever must not mean unseen for ever


class Observed(msgspec.Struct, frozen=True):
    """The driver observed this."""

    observation: Observation


class Woken(msgspec.Struct, frozen=True):
    """The time of the last Wake has come."""


class NotStored(msgspec.Struct, frozen=True):
    """The last report could not be stored; the same value is a change again."""


class Report(msgspec.Struct, frozen=True):
    """Write one event with this value."""

    observation: Observation


class Flapping(msgspec.Struct, frozen=True):
    """Write one event with the newest value, and that it stands for ``changes`` changes."""

    observation: Observation
    changes: int


class Wake(msgspec.Struct, frozen=True):
    """Give Woken at this time; it replaces an earlier Wake."""

    at_ms: int


Input = Observed | Woken | NotStored
Effect = Report | Flapping | Wake


class Unsettled(msgspec.Struct, frozen=True):
    """Changes that are not reported yet."""

    newest: Observation
    first_ms: int
    newest_ms: int
    changes: int
    limited: bool = False
    """It stood for the dwell, but had to wait for the window."""


class Dwell(msgspec.Struct, frozen=True):
    """Where one driver stands. Times are of a clock that never runs backwards."""

    dwell_ms: int
    reported: Observation | None = None
    unsettled: Unsettled | None = None
    reports_ms: tuple[int, ...] = ()
    """When the last reports were written, oldest first; at most REPORTS_MAX."""

    @property
    def settled(self) -> bool:
        """Whether every observation so far is reported or needs no event."""
        return self.unsettled is None


def receive(dwell: Dwell, received: Input, now_ms: int) -> tuple[Dwell, tuple[Effect, ...]]:
    """Take one input; return the next state and what to do, in order.

    Args:
        dwell: Where the driver stands.
        received: What happened.
        now_ms: Boot clock, ms; never smaller than in an earlier call.
    """
    match received:
        case Observed(observation):
            return _observe(dwell, observation, now_ms)
        case Woken():
            return _settle(dwell, now_ms)
        case NotStored():
            return msgspec.structs.replace(dwell, reported=None), ()


def _observe(
    dwell: Dwell, observation: Observation, now_ms: int
) -> tuple[Dwell, tuple[Effect, ...]]:
    earlier = dwell.unsettled
    if observation == (earlier.newest if earlier else dwell.reported):
        return _settle(dwell, now_ms)
    unsettled = Unsettled(
        newest=observation,
        first_ms=earlier.first_ms if earlier else now_ms,
        newest_ms=now_ms,
        changes=earlier.changes + 1 if earlier else 1,
        limited=earlier.limited if earlier else False,
    )
    return _settle(msgspec.structs.replace(dwell, unsettled=unsettled), now_ms)


def _settle(dwell: Dwell, now_ms: int) -> tuple[Dwell, tuple[Effect, ...]]:
    """Report what is due, or say when to look again."""
    waiting = dwell.unsettled
    if waiting is None:
        return dwell, ()
    stood_ms = waiting.newest_ms + dwell.dwell_ms
    due_ms = min(stood_ms, waiting.first_ms + UNSETTLED_MS_MAX)
    if now_ms < due_ms:
        return dwell, (Wake(due_ms),)
    stood = now_ms >= stood_ms
    if stood and not waiting.limited and waiting.newest == dwell.reported:
        return msgspec.structs.replace(dwell, unsettled=None), ()  # it bounced back
    recent_ms = tuple(at_ms for at_ms in dwell.reports_ms if now_ms - at_ms < WINDOW_MS)
    if len(recent_ms) >= REPORTS_MAX:
        held = msgspec.structs.replace(waiting, limited=True)
        next_dwell = msgspec.structs.replace(dwell, unsettled=held, reports_ms=recent_ms)
        return next_dwell, (Wake(recent_ms[0] + WINDOW_MS),)
    reported = msgspec.structs.replace(
        dwell, reported=waiting.newest, unsettled=None, reports_ms=(*recent_ms, now_ms)
    )
    if stood and not waiting.limited:
        return reported, (Report(waiting.newest),)
    return reported, (Flapping(waiting.newest, waiting.changes),)
