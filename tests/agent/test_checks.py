"""Asking third parties over real HTTP: the demo's inventory, and servers that misbehave."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, web

from agent.checks import ANSWER_BYTES_MAX, Checker
from agent.clearance import Barred, Clear, Clearance, Held
from agent.settings import CheckSettings
from demo.configuration import find_free_port
from demo.inventory import Inventory
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Check, Unreachable
from tests.shared.tasks import SUBMITTED, task

NOW_MS = 1_000_000
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def asking(*checks: Check) -> Task:
    made = task(SUBMITTED)
    spec = msgspec.structs.replace(made.spec, checks=checks)
    return msgspec.structs.replace(made, spec=spec)


def syringes(count: int, policy: Unreachable = Unreachable.WAIT) -> Task:
    return asking(Check("stock", {"item": "syringe", "count": count}, policy))


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def asked(url: str, about: Task, **settings: Any) -> Clearance:
    async with ClientSession() as http:
        check = CheckSettings("stock", url, **settings)
        return await Checker([check], http, lambda: NOW_MS).ask(about)


async def answered(handler: Handler, about: Task, **settings: Any) -> Clearance:
    app = web.Application()
    app.router.add_post("/check", handler)
    async with served(app) as url:
        return await asked(f"{url}/check", about, **settings)


async def test_the_inventory_says_yes_and_no_and_when_to_ask_again() -> None:
    inventory = Inventory({"syringe": 2})
    async with served(inventory.app()) as url:
        assert isinstance(await asked(f"{url}/check", syringes(2)), Clear)
        closed = await asked(f"{url}/check", syringes(3))
        assert isinstance(closed, Held)
        assert closed.reasons[0].message == "stock says no: 2 of 3 syringe in stock"
        assert closed.until_ms == NOW_MS + 1000


@pytest.mark.parametrize(
    ("policy", "gate"),
    [(Unreachable.WAIT, Held), (Unreachable.PROCEED, Clear), (Unreachable.FAIL, Barred)],
)
@pytest.mark.parametrize("mode", ["slow", "down"])
async def test_a_slow_or_broken_inventory_is_nobodys_answer(
    mode: Any, policy: Unreachable, gate: type
) -> None:
    inventory = Inventory({"syringe": 2})
    inventory.mode = mode
    async with served(inventory.app()) as url:
        found = await asked(f"{url}/check", syringes(1, policy), timeout_s=0.2, again_s=7)
    assert isinstance(found, gate)
    if isinstance(found, Held):
        assert found.until_ms == NOW_MS + 7000


async def test_nobody_listening_is_nobodys_answer() -> None:
    found = await asked(f"http://127.0.0.1:{find_free_port()}/check", syringes(1))
    assert isinstance(found, Held)
    assert "cannot be asked" in found.reasons[0].message


async def test_a_check_that_the_device_does_not_know_is_nobodys_answer() -> None:
    found = await Checker([], None, lambda: NOW_MS).ask(syringes(1))
    assert isinstance(found, Held)
    assert "no [[checks]] of the name stock" in found.reasons[0].message


async def test_the_question_has_the_task_and_the_token() -> None:
    seen: dict[str, Any] = {}

    async def hear(request: web.Request) -> web.Response:
        seen.update(await request.json(), token=request.headers["Authorization"])
        return web.json_response({"ok": True, "extra": 1})

    about = syringes(1)
    assert isinstance(await answered(hear, about, token="secret"), Clear)
    assert seen == {
        "check": "stock",
        "task": about.id,
        "type": about.spec.type,
        "payload": about.spec.payload,
        "requester": about.spec.requester,
        "ask": {"item": "syringe", "count": 1},
        "token": "Bearer secret",
    }


@pytest.mark.parametrize(
    "body", [b"", b"yes", b"{}", b'{"ok": 1}', b'{"ok": true, "again_s": -1}', b"\xff", b"[[["]
)
async def test_what_is_no_answer_counts_as_none(body: bytes) -> None:
    async def send(_request: web.Request) -> web.Response:
        return web.Response(body=body)

    assert isinstance(await answered(send, syringes(1)), Held)


async def test_an_answer_without_end_is_cut_off() -> None:
    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(2 * ANSWER_BYTES_MAX // 1024):
            await response.write(b" " * 1024)
        return response

    found = await answered(pour, syringes(1))
    assert isinstance(found, Held)
    assert "over" in found.reasons[0].message


async def test_redirects_are_not_followed() -> None:
    async def away(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/elsewhere")

    found = await answered(away, syringes(1))
    assert isinstance(found, Held)
    assert "it answered 302" in found.reasons[0].message
