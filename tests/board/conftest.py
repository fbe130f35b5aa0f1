"""A real hub on a free port for each test of the board, and an agent for those who want one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Browser, Page, async_playwright

from agent import app as agent_app
from agent import settings as agent_settings
from agent.handlers.settings import Command, Handlers
from hub import app
from hub import settings as hub_settings
from tests.board.browsing import CHROMIUM_ARGS, DESKTOP, WAIT_MS, Api, Opener, chromium_path
from tests.board.robots import Robot

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
    settings = hub_settings.Settings(
        data=str(tmp_path / "hub"),
        api=hub_settings.Api(listen="127.0.0.1:0", tokens={"demo": TOKEN}),
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


@pytest.fixture
async def robot_url(tmp_path: Path, node_url_and_token: tuple[str, str]) -> AsyncIterator[str]:
    """Run a robot of that hub, one task at a time; yield its URL."""
    hub_url, token = node_url_and_token
    settings = agent_settings.Settings(
        data=str(tmp_path / "robot"),
        device=agent_settings.Device(id="robot-1"),
        hub=agent_settings.Hub(url=hub_url, token=token),
        sync=agent_settings.Sync(retry_max_s=0.5),
        api=agent_settings.Api(listen="127.0.0.1:0", tokens={"ada": token}),
        dispatcher=agent_settings.Dispatcher(concurrency=1, drain_s=1),
        handlers=Handlers(command=Command(allow=("echo", "ls", "seq", "sh"))),
    )
    async with served(partial(agent_app.run, settings)) as url:
        yield url


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    path = chromium_path()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGS)
        yield browser
        await browser.close()


@pytest.fixture
async def api(node_url_and_token: tuple[str, str]) -> AsyncIterator[Api]:
    url, token = node_url_and_token
    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(url, headers=headers) as session:
        yield Api(session)


@pytest.fixture
async def start_robot(
    tmp_path: Path, node_url_and_token: tuple[str, str], api: Api
) -> AsyncIterator[Callable[[str], Awaitable[Robot]]]:
    """Start robots of that hub that can be killed."""
    async with AsyncExitStack() as stack:

        async def start(name: str) -> Robot:
            robot = Robot(name, tmp_path, node_url_and_token, api)
            stack.push_async_callback(robot.end)
            await robot.start()
            return robot

        yield start


@pytest.fixture
async def open_board(
    browser: Browser, node_url_and_token: tuple[str, str]
) -> AsyncIterator[Opener]:
    """Open the board, live; at the end no script may have failed or been refused by the CSP."""
    url, known = node_url_and_token
    failures: list[str] = []

    async with AsyncExitStack() as stack:

        async def open_(
            size: tuple[int, int] = DESKTOP, *, token: str | None = known, at: str = url
        ) -> Page:
            context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
            stack.push_async_callback(context.close)
            page = await context.new_page()
            page.set_default_timeout(WAIT_MS)
            page.on("pageerror", lambda error: failures.append(str(error)))
            page.on(
                "console",
                lambda line: (
                    failures.append(line.text) if "Content Security Policy" in line.text else None
                ),
            )
            await page.goto(at if token is None else f"{at}/#token={token}")
            if token == known:
                await page.wait_for_selector("body[data-phase=live]")
            return page

        yield open_
    assert failures == []
