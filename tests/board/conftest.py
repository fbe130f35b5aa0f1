"""A real hub on a free port for each test of the board, and an agent for those who want one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from agent import app as agent_app
from agent import settings as agent_settings
from hub import app
from hub.settings import Api, Settings

TOKEN = "board-test-token"
READY_S = 30


Serve = Callable[[asyncio.Event, Callable[[str], None]], Coroutine[None, None, None]]


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[str]:
    """Run a node until the block is left; yield its URL."""
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(stop, ready.set_result), name="node")
        async with asyncio.timeout(READY_S):
            url = await ready
        try:
            yield url
        finally:
            stop.set()


@pytest.fixture
async def node_url_and_token(tmp_path: Path) -> AsyncIterator[tuple[str, str]]:
    """Run a fresh hub of one site; yield its URL and a token."""
    settings = Settings(
        data=str(tmp_path / "hub"), api=Api(listen="127.0.0.1:0", tokens={"demo": TOKEN})
    )
    async with served(partial(app.run, settings)) as url:
        yield url, TOKEN


@pytest.fixture
async def agent_url(tmp_path: Path, node_url_and_token: tuple[str, str]) -> AsyncIterator[str]:
    """Run a tablet of that hub, which takes the same token; yield its URL."""
    hub_url, token = node_url_and_token
    settings = agent_settings.Settings(
        data=str(tmp_path / "agent"),
        device=agent_settings.Device(id="tablet-1"),
        hub=agent_settings.Hub(url=hub_url, token=token),
        sync=agent_settings.Sync(retry_max_s=0.5),
        api=agent_settings.Api(listen="127.0.0.1:0", tokens={"ada": token}),
        dispatcher=agent_settings.Dispatcher(concurrency=0),
    )
    async with served(partial(agent_app.run, settings)) as url:
        yield url
