"""Routes that only an agent serves: the switch of its uplink."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from agent.uplink import UplinkStatus
from shared.api import body as bodies
from shared.api import idempotency
from shared.api.context import Sample
from shared.api.route import Answer, Call, Route, json


class Uplink(Protocol):
    """The way to the hub, as far as the routes need it."""

    def status(self) -> UplinkStatus:
        """Return how it is at present."""

    async def set_enabled(self, enabled: bool) -> None:
        """Cut it on purpose, or mend it; durable on return."""


class UplinkChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of ``PUT /api/uplink``."""

    enabled: bool


def routes(uplink: Uplink) -> tuple[Route, ...]:
    """Return the agent's own routes."""

    async def get(_call: Call) -> Answer:
        return json(uplink.status())

    async def put(call: Call) -> Answer:
        asked = await bodies.read(call.request, UplinkChange)

        async def turn() -> Answer:
            await uplink.set_enabled(asked.enabled)
            return json(uplink.status())

        # A request that comes again late must not turn what somebody has turned back since.
        return await idempotency.act(call, turn)

    return (
        Route(
            method="GET",
            path="/api/uplink",
            handler=get,
            summary="Connected?, backlog, last sync",
            answer=UplinkStatus,
        ),
        Route(
            method="PUT",
            path="/api/uplink",
            handler=put,
            summary="Cut the link to the hub on purpose, or mend it; survives a restart",
            body=UplinkChange,
            answer=UplinkStatus,
        ),
    )


def samples(uplink: Uplink) -> Iterable[Sample]:
    """Return how the uplink is, for ``/metrics``."""
    status = uplink.status()
    return (
        Sample("uplink_connected", int(status.connected)),
        Sample("uplink_backlog", status.backlog),
    )
