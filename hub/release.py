"""When the hub may take a task back from a device that is silent: pure.

Only work with ``offline: release``. Before its permit the device cannot start it, so a while of
silence is enough. After it, only ``repeatable`` work is given again, once the run must be over by
what it declares; a double run is then possible and shown. The hub infers nothing from silence
about any other work.
"""

from typing import Annotated

import msgspec

from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Offline
from shared.core.lifecycle import ACTING, Status

Seconds = Annotated[float, msgspec.Meta(ge=0, le=366 * 24 * 3600)]


class Patience(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long the hub waits, seconds.

    Attributes:
        release_after_s: Of silence, before a task without a permit is given to another device.
        margin_s: Beyond ``start_to_close_s``: for stopping a run, and for clocks that differ.
    """

    release_after_s: Seconds = 60
    margin_s: Seconds = 30


PATIENCE = Patience()


class Due(msgspec.Struct, frozen=True):
    """When a task may be given to another device.

    Attributes:
        after_ms: So long after its device was heard last.
        moved: Whether its device may have run it by then.
    """

    after_ms: int
    moved: bool


def due(task: Task, patience: Patience) -> Due | None:
    """Return when a task may be taken from its device, if that stays silent; None: never.

    A permit is given only to a device that is here: counted from its last word, the bound of a
    run that the permit allowed holds also if it began at once.

    Args:
        task: One that a device has.
        patience: How long to wait.
    """
    given = task.allocation
    if given is None or given.epoch is None or task.spec.offline is not Offline.RELEASE:
        return None
    may_have_started = task.status in ACTING or task.was_permitted
    if not may_have_started:
        if task.status is not Status.WAITING:
            return None
        return Due(_ms(patience.release_after_s), moved=False)
    bound_s = task.spec.start_to_close_s
    if not task.spec.repeatable or bound_s is None:
        return None
    return Due(_ms(bound_s + patience.margin_s), moved=True)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
