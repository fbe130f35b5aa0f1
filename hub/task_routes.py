"""What only the hub lets people do with a task: settle one, move one by force."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import msgspec

from hub import force as forcing
from hub import settle as settling
from hub.allocation import DeviceState
from hub.settle import Verdict
from shared.api import body as bodies
from shared.api import tasks
from shared.api.conditional import Seen
from shared.api.route import Answer, Call, Route
from shared.api.tasks import Why
from shared.core.ids import Name
from shared.core.task_view import TaskView

Devices = Callable[[], Mapping[str, DeviceState]]


class Settlement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a settlement.

    Attributes:
        outcome: How it ended; ``retry``: run it again; ``over``: of a task that was moved, what
            its former devices ran has ended.
        attempt: The attempt that is meant; another by now is an error.
        reason: For people.
        seen: ETag of the task as the caller saw it: who comes second is told so.
    """

    outcome: Verdict
    attempt: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    reason: Why | None = None
    seen: Seen | None = None


class Forcing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a move by force.

    Attributes:
        reason: For people.
        device: Where to; null: as allocation chooses.
        seen: ETag of the task as the caller saw it: who comes second is told so.
    """

    reason: Why
    device: Name | None = None
    seen: Seen | None = None


class Forced(TaskView, frozen=True):
    """The task after it was moved, and whether it may be running at two places now."""

    double_run_possible: bool


def routes(devices: Devices) -> tuple[Route, ...]:
    """Return the routes.

    Args:
        devices: The fleet by id; any thread may call it.
    """
    return (
        Route(
            method="POST",
            path=f"{tasks.ONE}/settle",
            handler=settle,
            summary="Say how an unknown task ended, or let it run again",
            body=Settlement,
            answer=TaskView,
            headers=("ETag",),
            is_conditional=True,
        ),
        Route(
            method="POST",
            path=f"{tasks.ONE}/force",
            handler=partial(force, devices=devices),
            summary="Move a task to another device, though nobody knows what its own does",
            body=Forcing,
            answer=Forced,
            headers=("ETag",),
            is_conditional=True,
        ),
    )


async def settle(call: Call) -> Answer:
    """Settle a task that is unknown."""
    asked = await bodies.read(call.request, Settlement)
    return await tasks.act(
        call,
        lambda tx, _: settling.settle(
            tx,
            call.id,
            asked.outcome,
            attempt=asked.attempt,
            reason=asked.reason,
            actor=call.actor,
        ),
        asked.seen,
        decides=True,
    )


async def force(call: Call, devices: Devices) -> Answer:
    """Move a task to another device."""
    asked = await bodies.read(call.request, Forcing)
    return await tasks.act(
        call,
        lambda tx, _: forcing.force(
            tx,
            call.id,
            devices(),
            device=asked.device,
            reason=asked.reason,
            actor=call.actor,
        ),
        asked.seen,
        _forced,
        decides=True,
    )


def _forced(view: TaskView, is_possible: bool) -> Forced:
    return Forced(
        **{name: getattr(view, name) for name in TaskView.__struct_fields__},
        double_run_possible=is_possible,
    )
