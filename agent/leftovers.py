"""Processes that an attempt left running: found by the mark in their environment, and ended.

Every process that a handler starts carries ``SKERRY_ATTEMPT`` and ``SKERRY_DATA``, and so do its
children, also those that made themselves a session of their own. A process id would not do: it
may be another's by now, and the agent that knew it may have been killed.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path

log = logging.getLogger(__name__)

ATTEMPT = "SKERRY_ATTEMPT"
DATA = "SKERRY_DATA"
TERM_S = 5.0  # to put things in order; a robot's arm may have to be parked
KILL_S = 5.0  # only a process stuck in the kernel outlives this
POLL_S = 0.05

_PROC = Path("/proc")


def mark(attempt_id: str, folder: Path) -> dict[str, str]:
    """Return the variables that make a process findable after a crash."""
    return {ATTEMPT: attempt_id, DATA: str(folder.resolve())}


def find(folder: Path, attempt_id: str | None = None) -> dict[int, str]:
    """Return the attempt of every marked process, by process id; zombies do not count.

    Args:
        folder: Data folder of the agent that started them.
        attempt_id: Only those of this attempt; None: of all.
    """
    wanted = f"{DATA}={folder.resolve()}".encode()
    found: dict[int, str] = {}
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue  # it has ended, or belongs to another user: not one of ours
        if wanted not in variables:
            continue
        attempt = _attempt(variables)
        if attempt and attempt_id in (None, attempt):
            found[int(entry.name)] = attempt
    return found


async def end(
    folder: Path, attempt_id: str | None = None, *, term_s: float = TERM_S
) -> Mapping[int, str]:
    """End marked processes, politely first; return those that outlived even SIGKILL.

    Takes at most term_s + KILL_S.
    """
    left = await _ended(lambda: find(folder, attempt_id), signal.SIGTERM, term_s)
    if left:
        left = await _ended(lambda: find(folder, attempt_id), signal.SIGKILL, KILL_S)
    if left:
        log.error("processes of ended attempts cannot be killed: %s", dict(left))
    return left


async def _ended(
    look: Callable[[], dict[int, str]], how: signal.Signals, within_s: float
) -> Mapping[int, str]:
    """Signal what is found, and look again until nothing is or the time is over."""
    told: set[int] = set()
    polls = round(within_s / POLL_S)
    for _ in range(polls):
        left = await asyncio.to_thread(look)
        if not left:
            return left
        for pid in left.keys() - told:
            log.info("ending process %d of attempt %s (%s)", pid, left[pid], how.name)
            _signal(pid, how)
        told |= left.keys()
        await asyncio.sleep(POLL_S)
    return await asyncio.to_thread(look)


def _signal(pid: int, how: signal.Signals) -> None:
    try:
        group = os.getpgid(pid)
        if group == os.getpgid(0):  # whoever joined our own group is signalled alone
            os.kill(pid, how)
        else:
            os.killpg(group, how)
    except ProcessLookupError:
        return  # it has just ended
    except PermissionError:
        log.warning("may not signal process %d", pid)


def _attempt(variables: list[bytes]) -> str | None:
    prefix = f"{ATTEMPT}=".encode()
    for variable in variables:
        if variable.startswith(prefix):
            return variable[len(prefix) :].decode(errors="replace")
    return None
