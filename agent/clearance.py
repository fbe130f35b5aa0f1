"""What the answers of third parties mean for a task that could start: pure.

A task with ``checks`` starts only once each has said yes, not long before. A "no" is a snooze with
a reason, never an attempt: the syringe that is out of stock costs the delivery nothing but time.
Nobody answering is not a "no": the task says itself what to make of that.

How long an answer counts is measured by the boot clock: set back by a day, the wall clock would
make a yes of now one for tomorrow, and a "no" keep a task till then.
"""

from collections.abc import Sequence

import msgspec

from shared.core.kinds.task_spec import Check, Unreachable
from shared.core.waiting import Reason

FRESH_MS = 10_000  # a yes older than that is asked again: stock moves


class Answer(msgspec.Struct, frozen=True):
    """What came of asking one check.

    Attributes:
        check: Its name.
        ok: Yes or no; None: nobody answered, or nothing that means either.
        message: For people: the third party's reason, or what went wrong.
        again_s: When asking again makes sense, seconds.
    """

    check: str
    ok: bool | None
    message: str
    again_s: float


class Clear(msgspec.Struct, frozen=True):
    """It may start; asked again after ``until_ms`` (boot clock), should it not have started."""

    until_ms: int


class Asking(msgspec.Struct, frozen=True):
    """Its checks are being asked; ``reasons``: what they said last, which stands meanwhile."""

    reasons: tuple[Reason, ...] = ()


class Held(msgspec.Struct, frozen=True):
    """It waits until ``until_ms`` (boot clock), then the checks are asked again."""

    until_ms: int
    reasons: tuple[Reason, ...]


class Due(msgspec.Struct, frozen=True):
    """Its checks are to be asked again once it could start; ``reasons``: what they said last."""

    reasons: tuple[Reason, ...]


class Barred(msgspec.Struct, frozen=True):
    """It will not start: a check cannot be asked, and the task wants to fail then."""

    message: str


Clearance = Asking | Clear | Held | Due | Barred


def asking(known: Clearance | None) -> Asking:
    """Return what is known of a task once its checks are being asked."""
    return Asking(last_said(known))


def last_said(known: Clearance | None) -> tuple[Reason, ...]:
    """Return what third parties said last, if they keep a task; it stands until they say else."""
    return known.reasons if isinstance(known, Asking | Held | Due) else ()


def conclude(checks: Sequence[Check], answers: Sequence[Answer], boot_ms: int) -> Clearance:
    """Return what the answers mean.

    Args:
        checks: Of the task.
        answers: One for each, in the same order.
        boot_ms: Boot clock.
    """
    closed: list[tuple[float, Reason]] = []
    for check, answer in zip(checks, answers, strict=True):
        if answer.ok:
            continue
        if answer.ok is None and check.if_unreachable is Unreachable.PROCEED:
            continue
        if answer.ok is None and check.if_unreachable is Unreachable.FAIL:
            return Barred(f"check {check.name} cannot be asked: {answer.message}")
        said = "says no" if answer.ok is False else "cannot be asked"
        text = f"{check.name} {said}: {answer.message}"
        closed.append((answer.again_s, Reason("check", check.name, text)))
    if not closed:
        return Clear(boot_ms + FRESH_MS)
    soonest_s = min(again_s for again_s, _ in closed)
    return Held(boot_ms + round(1000 * soonest_s), tuple(reason for _, reason in closed))
