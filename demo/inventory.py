"""An inventory, as a hospital has one: what is in stock, asked over HTTP before a delivery starts.

``GET /stock`` shows it, ``PUT /stock/ITEM`` with ``{"count": 3}`` changes it, ``PUT /mode`` with
``{"mode": "slow"}`` makes it answer late, ``down`` not at all, ``up`` as usual. ``POST /check`` is
what the robot asks: ``{"ask": {"item": "syringe", "count": 1}, ...}``.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

AGAIN_S = 1.0  # a person watches the demo; in a hospital a minute would do
SLOW_S = 30.0

Count = Annotated[int, msgspec.Meta(ge=0)]
Mode = Literal["up", "slow", "down"]
T = Any


class Ask(msgspec.Struct, frozen=True):
    """What a task wants to know."""

    item: str
    count: Count = 1


class Question(msgspec.Struct, frozen=True):
    """A question as agents put it; the fields beside ``ask`` are for whoever keeps a log."""

    ask: Ask


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of an item there is."""

    count: Count


class ModeChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How to answer from now on."""

    mode: Mode


class Inventory:
    """The stock and its routes."""

    def __init__(self, stock: dict[str, int], again_s: float = AGAIN_S) -> None:
        self.stock = stock
        self._again_s = again_s
        self.mode: Mode = "up"

    def app(self) -> web.Application:
        """Return the application that serves it."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/stock", self._show),
                web.put("/stock/{item}", self._set),
                web.put("/mode", self._set_mode),
                web.post("/check", self._check),
            ]
        )
        return application

    async def _show(self, _request: web.Request) -> web.Response:
        return web.json_response({"mode": self.mode, "stock": self.stock})

    async def _set(self, request: web.Request) -> web.Response:
        self.stock[request.match_info["item"]] = (await _read(request, Level)).count
        return await self._show(request)

    async def _set_mode(self, request: web.Request) -> web.Response:
        self.mode = (await _read(request, ModeChange)).mode
        return await self._show(request)

    async def _check(self, request: web.Request) -> web.Response:
        if self.mode == "down":
            raise web.HTTPServiceUnavailable(text="the inventory is being maintained")
        if self.mode == "slow":
            await asyncio.sleep(SLOW_S)
        asked = (await _read(request, Question)).ask
        have = self.stock.get(asked.item, 0)
        if have >= asked.count:
            return web.json_response({"ok": True})
        reason = f"{have} of {asked.count} {asked.item} in stock"
        return web.json_response({"ok": False, "reason": reason, "again_s": self._again_s})


async def _read(request: web.Request, body: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=body)
    except msgspec.DecodeError as error:
        raise web.HTTPBadRequest(text=str(error)) from error


async def run(host: str, port: int, stock: dict[str, int]) -> None:
    """Serve until cancelled; says ``{"ready": URL}`` on stdout once it answers."""
    runner = web.AppRunner(Inventory(stock).app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        taken_host, taken_port = runner.addresses[0][:2]
        ready = {"ready": f"http://{taken_host}:{taken_port}"}
        sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m demo.inventory", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--stock", action="append", default=[], metavar="ITEM=COUNT")
    arguments = parser.parse_args(argv)
    pairs = (text.partition("=") for text in arguments.stock)
    stock = {item: int(count) for item, _, count in pairs}
    try:
        asyncio.run(run("127.0.0.1", arguments.port, stock))
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
