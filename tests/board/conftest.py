"""A real hub on a free port for each test of the board."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub import app
from hub.settings import Api, Settings

TOKEN = "board-test-token"
READY_S = 30


@pytest.fixture
async def node_url_and_token(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Run a fresh hub of one site; yield its URL and a token."""
    settings = Settings(
        data=str(tmp_path / "hub"), api=Api(listen="127.0.0.1:0", tokens={"demo": TOKEN})
    )
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app.run(settings, stop, ready.set_result), name="hub")
        async with asyncio.timeout(READY_S):
            url = await ready
        try:
            yield url, TOKEN
        finally:
            stop.set()
