"""A browser to look with, and another client of the same hub."""

import os
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Page

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_ARGS = [
    "--no-sandbox",  # tests also run as root in containers, where the sandbox cannot start
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 10_000
DESKTOP = (1440, 900)
PHONE = (390, 844)

Opener = Callable[..., Awaitable[Page]]


class Api:
    """Another client of the same hub: what a colleague's browser would send."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def get(self, path: str) -> dict[str, Any]:
        async with self._session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            body: dict[str, Any] = await answer.json()
            return body

    async def send(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._session.request(method, path, json=body) as answer:
            assert answer.status < 300, await answer.text()
            shown: dict[str, Any] = await answer.json()
            return shown

    async def upload(self, path: str, calendar: str) -> None:
        """Import a calendar."""
        headers = {"Content-Type": "text/calendar"}
        async with self._session.post(path, data=calendar.encode(), headers=headers) as answer:
            assert answer.status == 200, await answer.text()

    async def submit(self, command: str, **fields: Any) -> dict[str, Any]:
        """Submit a command; return the task."""
        return await self.send("POST", "/api/tasks", {"command": command, **fields})

    async def add(self, equipment: str, state: str | None = None) -> None:
        await self.send("POST", "/api/equipment", {"id": equipment, "name": equipment.title()})
        if state is not None:
            await self.report(equipment, {"state": state})

    async def report(self, equipment: str, body: dict[str, Any]) -> None:
        await self.send("PUT", f"/api/equipment/{equipment}/state", body)

    async def disagree(self, equipment: str) -> None:
        """Add equipment with two reports that do not know of each other."""
        await self.add(equipment)
        seen = (await self.get(f"/api/equipment/{equipment}"))["etag"]
        await self.report(equipment, {"state": "green", "reason": "cleared", "seen": seen})
        await self.report(equipment, {"state": "red", "reason": "leak", "seen": seen})


def chromium_path() -> str:
    """Where the browser is; without one the tests are skipped, and fail in CI."""
    for name in CHROMIUM_NAMES:
        if (path := shutil.which(name)) is not None:
            return path
    message = "NO BROWSER TESTS WERE RUN: install one with apt-get install chromium"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)
