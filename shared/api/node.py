"""Routes about the node itself: who it is, whether it lives, whether it can serve."""

import asyncio

import msgspec

from shared.api.route import Answer, Call, Route, json
from shared.errors import StoreClosed
from shared.store import changes
from shared.store.changes import Position

READY_S = 5  # a disk that needs longer for one row cannot serve anybody


class NodeView(msgspec.Struct, frozen=True):
    """Who this node is.

    Attributes:
        role: ``agent`` or ``hub``.
        id: Name of the device.
        sites: Sites that it serves.
        version: Of the program.
        position: Newest position; see ``/api/live``.
        notice: Why it took a new incarnation when it started, if it did.
        backed_up_at: Hub: when it was last backed up; None: never.
        actor: Who asks: the name of the token.
    """

    role: str
    id: str
    sites: tuple[str, ...]
    version: str
    position: str
    notice: str | None
    backed_up_at: str | None
    actor: str


class Health(msgspec.Struct, frozen=True):
    """An answer of ``/healthz`` and ``/readyz``."""

    status: str


async def get(call: Call) -> Answer:
    """Return who this node is."""
    context = call.context
    known = context.replica.node
    view = NodeView(
        role=context.role,
        id=context.id,
        sites=context.sites,
        version=context.version,
        position=str(Position(known.epoch, known.position)),
        notice=context.replica.notice,
        backed_up_at=None,
        actor=call.actor,
    )
    return json(view)


async def alive(_call: Call) -> Answer:
    """Say that the event loop turns."""
    return json(Health("ok"))


async def ready(call: Call) -> Answer:
    """Say that the store answers.

    Raises:
        StoreClosed: It did not within READY_S.
    """
    try:
        async with asyncio.timeout(READY_S):
            await call.context.replica.read(changes.position)
    except TimeoutError as error:
        raise StoreClosed(f"the store did not answer within {READY_S} s") from error
    return json(Health("ready"))


ROUTES = (
    Route(method="GET", path="/api/node", handler=get, summary="Who this node is", answer=NodeView),
    Route(
        method="GET",
        path="/healthz",
        handler=alive,
        summary="Liveness",
        answer=Health,
        is_open=True,
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=ready,
        summary="Readiness",
        answer=Health,
        is_open=True,
    ),
)
