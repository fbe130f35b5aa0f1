"""kill -9 of a real hub between a delivery and its mark."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, web

from tests.hub.receiver import SECRET, WITHIN_S, receiving

ROOT = Path(__file__).parents[2]
TOKEN = {"Authorization": "Bearer t"}


def settings(folder: Path, url: str) -> tuple[Path, str]:
    """Write a hub's settings; return the file and the hub's URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = folder / "hub.toml"
    file.write_text(
        f"""
        data = "{folder / "data"}"
        [api]
        listen = "127.0.0.1:{port}"
        tokens = {{ ada = "t" }}
        [[webhooks]]
        id = "erp"
        url = "{url}"
        secret_env = "ERP_SECRET"
        """
    )
    return file, f"http://127.0.0.1:{port}"


@asynccontextmanager
async def hub(file: Path, environ: Mapping[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a hub; it is ended with the block if it has not ended by then."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "serve", "--config", str(file)),
        cwd=ROOT,
        env={**os.environ, **environ},
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            while b"ready on" not in await process.stderr.readline():
                assert process.returncode is None
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_a_delivery_that_was_not_marked_comes_again_under_the_same_id(
    tmp_path: Path,
) -> None:
    """Promise 1."""
    environ = {"ERP_SECRET": SECRET}
    async with receiving() as receiver, ClientSession(headers=TOKEN) as http:
        file, url = settings(tmp_path, receiver.url)
        async with hub(file, environ) as process:

            async def kill(_body: Any) -> web.StreamResponse:
                process.send_signal(signal.SIGKILL)
                await process.wait()
                return web.Response()

            receiver.answer = kill
            async with http.post(f"{url}/api/tasks", json={"command": "echo"}) as answer:
                task = (await answer.json())["id"]
            with suppress(ClientError):  # killed while it answered: what is told was durable
                await http.post(f"{url}/api/tasks/{task}/cancel")
            await receiver.until(1)
            async with asyncio.timeout(WITHIN_S):
                assert await process.wait() == -signal.SIGKILL
        receiver.answer = 204
        async with hub(file, environ):
            await receiver.until(2)
    assert receiver.told == [("task.cancelled", task)] * 2
    assert len(set(receiver.ids)) == 1


async def test_a_secret_that_is_not_set_stops_the_start_with_its_name(tmp_path: Path) -> None:
    file, _ = settings(tmp_path, "http://127.0.0.1:1/")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hub", "serve", "--config", str(file)),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        _, said = await process.communicate()
    assert process.returncode == 2
    assert b"ERP_SECRET is not set" in said
