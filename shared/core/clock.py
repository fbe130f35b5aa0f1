"""Hybrid logical clock: a stamp that orders what people see, and never decides causality.

A stamp is one integer: 48 bits of Unix milliseconds, then a 16-bit counter. It never runs
backwards on one replica. A remote stamp pushes it forward by at most a minute, so that one device
whose clock says 2036 cannot drag the fleet along. No event is ever refused for its time.

Source: Kulkarni et al., Logical Physical Clocks, 2014.
"""

import enum
from typing import NewType

Stamp = NewType("Stamp", int)

COUNTER_BITS = 16
DRIFT_MS_MAX = 60_000  # a minute: more than honest clocks differ, less than anyone would notice


class ClockTrust(enum.StrEnum):
    """How far to trust the wall clock that stamped an event. Stored and sent: never renamed."""

    UNSET = "unset"
    RESTORED = "restored"
    SYNCED = "synced"
    SUSPECT = "suspect"


def at_ms(stamp: Stamp) -> int:
    """Return the wall time of a stamp, Unix ms."""
    return stamp >> COUNTER_BITS


def from_ms(ms: int) -> Stamp:
    """Return the first stamp of a millisecond."""
    return Stamp(ms << COUNTER_BITS)


def tick(last: Stamp, now_ms: int) -> Stamp:
    """Return the stamp of a new event.

    Args:
        last: Newest stamp issued or seen here.
        now_ms: Wall clock, Unix ms; may be years wrong.

    Returns:
        A stamp greater than ``last``. A full counter carries into the milliseconds.
    """
    return Stamp(max(last + 1, now_ms << COUNTER_BITS))


def observe(last: Stamp, remote: Stamp, now_ms: int) -> Stamp:
    """Move our clock past a remote stamp.

    Args:
        last: Newest stamp issued or seen here.
        remote: Stamp of the event received.
        now_ms: Wall clock, Unix ms; may be years wrong.

    Returns:
        A stamp not below ``last``, at most DRIFT_MS_MAX beyond ``now_ms`` because of ``remote``.
    """
    bounded = min(remote, (now_ms + DRIFT_MS_MAX) << COUNTER_BITS)
    return Stamp(max(last, bounded))
