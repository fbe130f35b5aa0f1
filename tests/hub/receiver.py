"""A real HTTP server that takes webhooks, answers as it is told, and checks what it gets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from shared.serving import serve
from shared.settings import Listen

SECRET = "a secret of the receiver"
WITHIN_S = 20


@dataclass
class Receiver:
    """What has arrived, in order, and how to answer.

    Attributes:
        answer: Status for the next request, or a function that makes a response.
    """

    url: str = ""
    answer: int | Callable[[Any], Awaitable[web.StreamResponse]] = 204
    bodies: list[Any] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def told(self) -> list[tuple[str, str]]:
        """Type and task of each request."""
        return [(body["type"], body["task"]["id"]) for body in self.bodies]

    @property
    def ids(self) -> list[str]:
        """Event of each request."""
        return [body["id"] for body in self.bodies]

    async def until(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(WITHIN_S):
            while len(self.bodies) < count:
                self.news.clear()
                await self.news.wait()

    async def take(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        stamp, _, sign = request.headers["Skerry-Signature"].partition(",v1=")
        assert sign == by_hand(SECRET, stamp.removeprefix("t=").encode() + b"." + raw)
        body = msgspec.json.decode(raw)
        assert request.headers["Idempotency-Key"] == body["id"]
        assert request.content_type == "application/json"
        self.bodies.append(body)
        self.news.set()
        if isinstance(self.answer, int):
            return web.Response(status=self.answer, headers={"Location": f"{self.url}/elsewhere"})
        return await self.answer(body)


def by_hand(secret: str, message: bytes) -> str:
    """HMAC-SHA256 as RFC 2104 writes it, without the library that the hub uses."""
    key = secret.encode().ljust(64, b"\0")
    inner = sha256(bytes(b ^ 0x36 for b in key) + message).digest()
    return sha256(bytes(b ^ 0x5C for b in key) + inner).hexdigest()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver on a free port."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    async with serve(app, Listen("127.0.0.1", 0)) as url:
        receiver.url = f"{url}/hook"
        yield receiver
