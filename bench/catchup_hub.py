"""The hub's end of the catch-up, as its own process: a replica and the gateway, no more.

    python -m bench.catchup_hub FOLDER

Says its URL on standard output and ends with its standard input.
"""

import asyncio
import socket
import struct
import sys
import time
from pathlib import Path

import msgspec
from aiohttp import web

from bench import nodes
from hub.gateway import Gateway
from shared.program import settle_memory
from shared.replica import Replica
from shared.serving import serve
from shared.settings import Listen

# Linux, struct tcp_info: eight bytes, 24 words and two rates precede these two counters.
_TCP_INFO_BYTES = 136
_ACKED_AND_RECEIVED = struct.Struct("=120xQQ")


class Told(msgspec.Struct, frozen=True):
    """What the hub says of itself.

    Attributes:
        events: Held of devices' logs.
        wire_bytes: Both ways on the device's connection, as TCP counted them.
        cpu_s: That this process has used.
    """

    events: int
    wire_bytes: int
    cpu_s: float


class CatchupHub:
    """Serves ``/sync`` as the hub does, and ``/told``."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._gateway = Gateway(replica, on_connected=lambda: None, on_caught_up=_caught_up)
        self._socket: socket.socket | None = None

    def app(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_get("/sync", self._sync)
        app.router.add_get("/told", self._tell)
        return app

    async def close(self) -> None:
        """End the session."""
        await self._gateway.close()

    async def _sync(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self._socket = request.transport.get_extra_info("socket")
        return await self._gateway.handle(request)

    async def _tell(self, _request: web.Request) -> web.Response:
        logs = self._replica.node.logs.values()
        told = Told(
            events=sum(log.head for log in logs if not log.own),
            wire_bytes=_counted(self._socket) if self._socket else 0,
            cpu_s=time.process_time(),
        )
        return web.Response(body=msgspec.json.encode(told), content_type="application/json")


def _counted(connection: socket.socket) -> int:
    """Return the bytes of a TCP connection, both ways: the kernel's count, without a proxy."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    sent, received = _ACKED_AND_RECEIVED.unpack(facts)
    return int(sent + received)


async def _caught_up(_device: str, _incarnation: str) -> None:
    """Deal nothing: there is no sitter here."""


async def main(folder: Path) -> None:
    """Serve until the standard input ends."""
    async with nodes.open_hub(folder) as replica:
        hub = CatchupHub(replica)
        async with serve(hub.app(), Listen("127.0.0.1", 0)) as url:
            settle_memory()  # as both programs do once they serve
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
            await hub.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
