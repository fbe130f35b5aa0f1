"""The commands that ask a running node, as real processes against a real agent."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent import app
from agent.handlers.settings import Command, Handlers
from agent.settings import Api, Device, Settings
from shared.serving import serve
from shared.settings import Listen

TOKEN = "client-test-token"
WAIT_S = 30


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    settings = Settings(
        data=str(tmp_path / "agent"),
        device=Device(id="robot-1", machine_id="m"),
        api=Api(listen="127.0.0.1:0", tokens={"ada": TOKEN}),
        handlers=Handlers(Command(allow=("echo", "false"))),
    )
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app.run(settings, stop, ready.set_result), name="agent")
        async with asyncio.timeout(WAIT_S):
            yield await ready
        stop.set()


async def command(*arguments: str, token: str = TOKEN, stdin: str = "") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SKERRY_TOKEN": token},
    )
    async with asyncio.timeout(WAIT_S):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def shown(out: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(out)
    return value


async def test_a_submitted_command_gives_its_output(url: str) -> None:
    code, out, _ = await command("task", "submit", "echo hello", "--wait", "--url", url)
    task = shown(out)
    assert (code, task["status"]) == (0, "succeeded")
    assert task["attempts"][0]["output"]["stdout"] == "hello\n"
    assert task["requester"] == "ada"


async def test_a_task_that_does_not_succeed_exits_1(url: str) -> None:
    whole = {"type": "command", "payload": {"argv": ["false"]}, "max_attempts": 1}
    arguments = ("task", "submit", "--json", "-", "--wait", "--url", url)
    code, out, _ = await command(*arguments, stdin=json.dumps(whole))
    assert (code, shown(out)["status"]) == (1, "dead")


async def test_equipment_is_set_and_status_tells_of_the_uplink(url: str) -> None:
    code, _, err = await command("equipment", "set", "press-1", "red", "--url", url)
    assert (code, json.loads(err)["status"]) == (1, 404)
    code, out, _ = await command("status", "--url", url)
    assert (code, shown(out)["id"], shown(out)["uplink"]["connected"]) == (0, "robot-1", False)


@pytest.mark.parametrize(
    ("arguments", "token", "code", "words"),
    [
        (("status", "--url", "ftp://x"), TOKEN, 2, "--url"),
        (("status",), "", 2, "SKERRY_TOKEN"),
        (("status", "--url", "http://127.0.0.1:x"), TOKEN, 2, "--url"),
        (("status", "--url", "http://[::1"), TOKEN, 2, "--url"),
        (("status",), "t\u00e9t\u20ac", 2, "SKERRY_TOKEN"),
        (("status", "--url", "http://127.0.0.1:1"), TOKEN, 1, "is the node running"),
        (("task", "submit", "--json", "no-such-file"), TOKEN, 2, "no-such-file"),
        (("equipment", "set", "press-1", "blue"), TOKEN, 2, "blue"),
    ],
)
async def test_bad_usage_names_the_remedy(
    arguments: tuple[str, ...], token: str, code: int, words: str
) -> None:
    got, _, err = await command(*arguments, token=token)
    assert got == code
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("page", [b"<html>Log in</html>", b"\xff"])
async def test_what_answers_but_is_no_node_is_named(page: bytes) -> None:
    async def portal(_request: web.Request) -> web.Response:
        return web.Response(body=page)

    app = web.Application()
    app.router.add_get("/{path:.*}", portal)
    async with serve(app, Listen("127.0.0.1", 0)) as url:
        code, _, err = await command("status", "--url", url)
    assert (code, err) == (1, f"{url} is no node: it does not answer in JSON\n")
