"""What only the machine knows: its clocks, its id, chance. Built in ``app.py``, handed down."""

import time
from pathlib import Path
from random import Random, SystemRandom

from shared.core.clock import ClockTrust
from shared.core.ids import uuid7

BUILT_MS = 1_760_000_000_000  # October 2025: no clock that shows less can be right
MACHINE_ID = Path("/etc/machine-id")


def now_ms() -> int:
    """Return the wall clock, Unix ms; may be years wrong."""
    return time.time_ns() // 1_000_000


def boot_ms() -> int:
    """Return the time since the machine started, ms; it goes on during suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def trust() -> ClockTrust:
    """Return how far to trust the wall clock: a board without battery wakes in 1970."""
    return ClockTrust.SYNCED if now_ms() >= BUILT_MS else ClockTrust.UNSET


def machine_id() -> str | None:
    """Return the machine's id, None where there is none."""
    try:
        return MACHINE_ID.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def chance() -> Random:
    """Return a generator for jitter and ids that nobody can predict."""
    return SystemRandom()


class IdMint:
    """Mints UUIDv7: called without arguments, from any thread."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def __call__(self) -> str:
        """Return a new id."""
        return uuid7(now_ms(), self._random.getrandbits(74))
