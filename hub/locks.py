"""Which start requests are granted now: pure, and it says why the others wait.

All locks of a claim are granted together or none, the oldest request first. An older request
keeps a free lock that it wants from younger ones, so that nobody waits for ever; unless it waits
for a lock whose holder is silent, which may last until a person speaks.
"""

from collections.abc import Mapping, Sequence

import msgspec

from shared.core.kinds.task_bodies import Claim


class Request(msgspec.Struct, frozen=True):
    """A claim that would start now, and the locks that it needs."""

    task: str
    claim: Claim
    locks: tuple[str, ...]


class Held(msgspec.Struct, frozen=True):
    """Who holds a lock.

    Attributes:
        task: The holder's.
        claim: Of it.
        device: Where it runs.
        suspect: Nobody hears the device: the lock stays held until it or a person speaks.
    """

    task: str
    claim: Claim
    device: str
    suspect: bool


class Blocked(msgspec.Struct, frozen=True):
    """Why a request is not granted: a lock, and the task that has it or comes first."""

    lock: str
    task: str
    suspect: bool


class Decision(msgspec.Struct, frozen=True):
    """What becomes of the requests that were looked at."""

    granted: tuple[Request, ...]
    blocked: dict[str, Blocked]


def decide(requests: Sequence[Request], held: Mapping[str, Held]) -> Decision:
    """Decide which requests of one site are granted.

    Args:
        requests: Those that could be granted now, the oldest first.
        held: Holders by lock.
    """
    granted: list[Request] = []
    blocked: dict[str, Blocked] = {}
    taken = dict(held)
    reserved: dict[str, str] = {}
    for request in requests:
        why = _blocked(request, taken, reserved)
        if why is None:
            granted.append(request)
            taken |= {lock: _granted(request) for lock in request.locks}
            continue
        blocked[request.task] = why
        if not why.suspect:
            reserved |= {lock: request.task for lock in request.locks if lock not in reserved}
    return Decision(tuple(granted), blocked)


def _granted(request: Request) -> Held:
    return Held(request.task, request.claim, "", suspect=False)


def _blocked(
    request: Request, taken: Mapping[str, Held], reserved: Mapping[str, str]
) -> Blocked | None:
    """Return what stands in the way of a request; a silent holder before a busy one."""
    held = [(lock, taken[lock]) for lock in request.locks if lock in taken]
    held.sort(key=lambda pair: not pair[1].suspect)
    for lock, holder in held:
        return Blocked(lock, holder.task, holder.suspect)
    for lock in request.locks:
        if lock in reserved:
            return Blocked(lock, reserved[lock], suspect=False)
    return None
