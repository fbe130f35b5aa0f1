"""A node that really serves: a replica in a folder, the application, a socket, a client."""

import io
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse

from agent import booking_routes as agent_bookings
from hub import api as hub_api
from hub import (
    asking,
    booking_routes,
    calendar_routes,
    fleet,
    outbox,
    resource_routes,
    schedules,
    webhooks,
)
from hub.retry import retry
from hub.settings import Webhook
from shared.api import task_actions
from shared.api.app import make_app
from shared.api.context import NodeContext
from shared.api.route import Route
from shared.core.kinds.task_spec import Spec
from shared.core.waiting import why
from shared.replica import Replica
from shared.serving import serve
from shared.settings import Listen
from tests.api.nodes import SITE, Node, open_node

TOKENS = {"ada": "ada-token", "bo": "bo-token"}
WAIT_S = 10
CONNECTED = frozenset({"robot-1"})


class Answered(msgspec.Struct, frozen=True):
    """A response, read."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.raw)

    @property
    def etag(self) -> str:
        return self.headers["ETag"].strip('"')


@dataclass
class Served:
    """A node behind its URL."""

    url: str
    node: Node
    client: ClientSession
    context: NodeContext

    @property
    def replica(self) -> Replica:
        return self.node.replica

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        actor: str | None = "ada",
        headers: Mapping[str, str] = {},
        raw: bytes | None = None,
    ) -> Answered:
        """Send a request; ``raw`` goes out as it is."""
        sent = dict(headers)
        if actor is not None:
            sent["Authorization"] = f"Bearer {TOKENS[actor]}"
        data = raw
        if body is not None:
            data = msgspec.json.encode(body)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        body_file = None if data is None else io.BytesIO(data)
        async with self.client.request(
            method, self.url + path, data=body_file, headers=sent
        ) as answer:
            return await read(answer)

    async def get(self, path: str, **more: Any) -> Any:
        """Return the JSON of a GET that succeeds."""
        answered = await self.call("GET", path, **more)
        assert answered.status == 200, answered.raw
        return answered.json

    async def equipment(self, subject: str = "press-1", **fields: Any) -> Answered:
        """Create a piece of equipment."""
        answered = await self.call("POST", "/api/equipment", {"id": subject, **fields})
        assert answered.status == 201, answered.raw
        return answered

    async def report(self, subject: str, state: str, actor: str = "ada", **fields: Any) -> Answered:
        """Report a state; it succeeds."""
        path = f"/api/equipment/{subject}/state"
        answered = await self.call("PUT", path, {"state": state, **fields}, actor=actor)
        assert answered.status == 200, answered.raw
        return answered

    async def conflict(self, subject: str = "press-1") -> Any:
        """Make a conflict, as a browser that was away makes one; return it."""
        stale = (await self.equipment(subject)).etag
        await self.report(subject, "red", reason="jam")
        await self.report(subject, "green", actor="bo", seen=stale)
        return (await self.get("/api/conflicts"))["items"][0]

    @asynccontextmanager
    async def live(self, **hello: Any) -> AsyncIterator[ClientWebSocketResponse]:
        """Connect to /api/live; with ``hello`` fields, say them."""
        async with self.client.ws_connect(f"{self.url}/api/live") as socket:
            if hello:
                await socket.send_json({"token": TOKENS["ada"], **hello})
            yield socket


async def read(answer: ClientResponse) -> Answered:
    return Answered(answer.status, answer.headers, await answer.read())


@asynccontextmanager
async def serve_node(
    folder: Path,
    role: str = "hub",
    device: str = "hub",
    *,
    sites: tuple[str, ...] = (SITE,),
    is_stale: Callable[[Any], bool] = lambda _record: False,
    hooks: tuple[Webhook, ...] = (),
    can_run: Callable[[Spec], bool] | None = None,
    more: tuple[Route, ...] = (),
) -> AsyncIterator[Served]:
    """Open a node and serve it on a free port, with ``more`` routes of its own."""
    async with open_node(folder, role, device) as node:
        context = NodeContext(
            replica=node.replica,
            role=role,
            id=device,
            sites=sites,
            version="0.1.0",
            tokens=TOKENS,
            hosts=frozenset({"board.test"}),
            now_ms=node.clock,
            new_id=node.new_id,
            explain=lambda task, status_of, now_ms: why(task, now_ms, status_of),
            is_stale=is_stale,
            can_run=can_run,
            types=fleet.types,
            retry=retry if role == "hub" else task_actions.retry,
            ask=asking.answer(node.clock) if role == "hub" else None,
        )
        routes = (
            *hub_api.routes(lambda: CONNECTED),
            *schedules.ROUTES,
            *(booking_routes.ROUTES if role == "hub" else agent_bookings.ROUTES),
            *(calendar_routes.ROUTES if role == "hub" else ()),
            *(resource_routes.ROUTES if role == "hub" else ()),
            *webhooks.routes(hooks),
            *more,
        )
        if hooks:
            await node.replica.write(lambda tx: outbox.open_all(tx, hooks))
        app = make_app(context, routes, hub_api.topics(lambda: CONNECTED))
        async with serve(app, Listen("127.0.0.1", 0)) as url, ClientSession() as client:
            yield Served(url, node, client, context)


async def hear(socket: ClientWebSocketResponse) -> Any:
    """Return the next live message."""
    return await socket.receive_json(timeout=WAIT_S)
