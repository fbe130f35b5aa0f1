"""Cron expressions: when they are due, also where the local clock is changed. Pure.

Which local times an expression names, ``cronsim`` says; this file says when those times are.

- A local time that does not exist (the clock was put forward over it) runs once, at the shift; so
  do several such times together.
- One that exists twice (the clock was put back) runs once, the first time.
- With ``*`` for the hour it runs whenever the local clock shows that minute: every ten minutes
  means every ten minutes, also in the night in which an hour comes twice or not at all.
"""

import datetime
import re
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import takewhile

from cronsim import CronSim, CronSimError

from shared.core.ids import uuid7
from shared.core.kinds.schedule import CatchUp
from shared.errors import Refused

# What a field takes, and the longest step that makes sense in it.
ALLOWED = {
    "minute": ("0 to 59", 59),
    "hour": ("0 to 23", 23),
    "day-of-month": ("1 to 31, L, LW", 31),
    "month": ("1 to 12 or JAN to DEC", 12),
    "day-of-week": ("0 to 7 or SUN to SAT (FRI,SAT,SUN,MON: not FRI-MON)", 7),
}
FIELDS = len(ALLOWED)
HOUR = 1
ON_TIME_MS = 120_000  # the hub looks twice a minute: what is later than this was missed
WINDOW_MS = 3_600_000  # first stretch of the past that is searched for missed slots
WIDER = 4
UNITS_MS = 1000
_STEP = re.compile(r"/([0-9]{1,9})(?:,|$)")
_MINUTE = datetime.timedelta(minutes=1)
_START = datetime.datetime(2000, 1, 1)  # noqa: DTZ001 - local time, of no zone in particular
ID_BITS = 74


def check(expression: str) -> None:
    """Check an expression.

    Raises:
        Refused: It is none, or no day ever fits it.
    """
    fields = expression.split()
    try:
        if len(fields) != FIELDS:
            raise CronSimError(f"it has the five fields {', '.join(ALLOWED)}")
        for (name, (_, greatest)), text in zip(ALLOWED.items(), fields, strict=True):
            if any(int(step) > greatest for step in _STEP.findall(text)):
                raise CronSimError(f"Bad {name}")  # the library takes it, and it steps over all
        if next(CronSim(expression, _START), None) is None:
            raise CronSimError("no such day in fifty years")
    except CronSimError as error:
        raise _refusal(expression, error) from error


def following(expression: str, zone: datetime.tzinfo, after_ms: int) -> Iterator[int]:
    """Yield the slots of an expression after an instant, in order, Unix ms.

    Raises:
        Refused: It is none; ``check`` was not asked.
    """
    last = after_ms
    for slot in _slots(expression, zone, after_ms):
        if slot > last:
            last = slot
            yield slot


def due(
    expression: str,
    zone: datetime.tzinfo,
    *,
    upto_ms: int,
    now_ms: int,
    catch_up: CatchUp,
    catch_up_max: int,
) -> tuple[int, ...]:
    """Return the slots that get a task now, in order, Unix ms.

    Args:
        expression: Checked.
        zone: In which it is read.
        upto_ms: Slots up to here are settled. Later than now if the clock was put back: none.
        now_ms: Wall clock; may have jumped.
        catch_up: What becomes of slots older than ON_TIME_MS. ``once``: the newest of them, unless
            there is one on time.
        catch_up_max: With ``all``: the newest so many.
    """
    missed_to = now_ms - ON_TIME_MS
    on_time = tuple(
        takewhile(lambda s: s <= now_ms, following(expression, zone, max(upto_ms, missed_to)))
    )
    most = {CatchUp.SKIP: 0, CatchUp.ONCE: 0 if on_time else 1, CatchUp.ALL: catch_up_max}[catch_up]
    return (*_newest(expression, zone, upto_ms, missed_to, most), *on_time)


def task_id(schedule: str, slot_ms: int) -> str:
    """Return the id of a slot's task: whoever submits it, and however often, it is one task."""
    digest = sha256(f"{schedule}\0{slot_ms}".encode()).digest()
    return uuid7(slot_ms, int.from_bytes(digest) & ((1 << ID_BITS) - 1))


def _newest(
    expression: str, zone: datetime.tzinfo, after_ms: int, to_ms: int, most: int
) -> tuple[int, ...]:
    """Return the newest slots in (after, to]. An outage of years costs no more than one of days."""
    if most == 0 or to_ms <= after_ms:
        return ()
    window = WINDOW_MS
    while True:
        start = max(after_ms, to_ms - window)
        stretch = takewhile(lambda s: s <= to_ms, following(expression, zone, start))
        found = deque(stretch, maxlen=most)
        if len(found) == most or start == after_ms:
            return tuple(found)
        window *= WIDER


def _slots(expression: str, zone: datetime.tzinfo, after_ms: int) -> Iterator[int]:
    try:
        after = datetime.datetime.fromtimestamp(after_ms // UNITS_MS, zone)
        if expression.split()[HOUR : HOUR + 1] == ["*"]:
            for moment in CronSim(expression, after):
                yield _ms(moment)
        else:
            for local in CronSim(expression, after.replace(tzinfo=None)):
                yield _ms(_existing(local, zone))
    except (OverflowError, ValueError):
        return  # past the year 9999: a clock that is far off has no slots
    except CronSimError as error:  # journaled by a version that could read it
        raise _refusal(expression, error) from error


def _refusal(expression: str, error: CronSimError) -> Refused:
    words = str(error)
    allowed = ALLOWED.get(words.removeprefix("Bad "))
    if allowed is not None:
        words = f"the {words.removeprefix('Bad ')} takes {allowed[0]}, *, lists 1,2, "
        words += f"ranges that rise, and steps up to {allowed[1]}"
    text = f"{expression!r} is no cron expression: {words}"
    return Refused(f"{text}; write it as 0 6 * * MON-FRI", (("$.cron", words),))


def _existing(local: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    """Return the first instant at which the local clock shows this, or jumps over it."""
    gap = (_shown(local, zone) - local) // _MINUTE  # how far the clock is put forward over it
    later = bisect_left(range(gap), True, key=lambda m: _exists(local + m * _MINUTE, zone))
    return (local + later * _MINUTE).replace(tzinfo=zone)


def _exists(local: datetime.datetime, zone: datetime.tzinfo) -> bool:
    return _shown(local, zone) == local


def _shown(local: datetime.datetime, zone: datetime.tzinfo) -> datetime.datetime:
    """Return what the clock shows at this local time: something later where it does not exist."""
    instant = local.replace(tzinfo=zone).astimezone(datetime.UTC)
    return instant.astimezone(zone).replace(tzinfo=None)


def _ms(moment: datetime.datetime) -> int:
    return int(moment.timestamp()) * UNITS_MS
