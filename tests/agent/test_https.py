"""Whoever an agent calls over TLS is verified against the system's authorities, and reached."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web

from agent.checks import Checker
from agent.clearance import Clear
from agent.handlers.handler import Run
from agent.handlers.http import Http
from agent.handlers.target import Target
from agent.settings import CheckSettings
from shared.core.kinds.task_spec import Check
from tests.agent.test_checks import NOW_MS, asking
from tests.shared.certified import certified
from tests.shared.wire import eventually, opened, running, uplink_of


async def _yes(_: web.Request) -> web.StreamResponse:
    return web.json_response({"ok": True})


async def _not_here(_: web.Request) -> web.StreamResponse:
    return web.Response(status=403)


@pytest.fixture
def app() -> web.Application:
    app = web.Application()
    app.router.add_route("*", "/check", _yes)
    app.router.add_get("/sync", _not_here)
    return app


async def test_a_request(
    app: web.Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with certified(app, monkeypatch) as url:
        handler = Http(
            allow=[Target(f"{url}/*")], timeout_s=5, connect_timeout_s=5, body_bytes_max=100
        )
        asked: dict[str, Any] = {"method": "GET", "url": f"{url}/check"}
        output = await handler.run(Run("task-1", "attempt-1", 1, asked, "key-1", tmp_path))
    assert output is not None
    assert output["status"] == 200


async def test_a_check(app: web.Application, monkeypatch: pytest.MonkeyPatch) -> None:
    async with certified(app, monkeypatch) as url, ClientSession() as http:
        checker = Checker([CheckSettings("stock", f"{url}/check")], http, lambda: NOW_MS)
        assert isinstance(await checker.ask(asking(Check("stock"))), Clear)


async def test_the_uplink(
    app: web.Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with certified(app, monkeypatch) as url, opened(tmp_path / "a", "agent", "a") as replica:
        uplink = uplink_of(replica, tmp_path, url)
        async with running(uplink):
            await eventually(lambda: uplink.status().last_error is not None)
        assert uplink.status().last_error == "the hub answered 403, no session"
