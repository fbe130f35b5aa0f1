"""Every example of docs/handlers.md, against a real agent with the settings of that page."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from agent import app
from agent.settings import load
from hardware.mqtt_session import Session, open_session
from hardware.simulators.broker import run_broker
from hardware.simulators.device import DeviceSimulator
from tests.agent.robot import WAIT_S

PAGE = (Path(__file__).parents[3] / "docs" / "handlers.md").read_text()
TASKS = re.findall(r"^```json\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = [
    text
    for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    if text.startswith(("[handlers", "[[drivers"))
]
TOKEN = "docs-test-token"
ENDED = ("succeeded", "dead", "cancelled", "unknown")


def test_the_page_has_an_example_of_every_handler() -> None:
    assert len(TASKS) >= 8
    assert len(SETTINGS) == 4


async def answer(request: web.Request) -> web.Response:
    assert request.headers["Idempotency-Key"]
    return web.Response(text=f"{request.method} {request.path_qs}")


async def press(session: Session) -> None:
    while True:
        message = await session.receive()
        session.acknowledge(message)
        asked = msgspec.json.decode(message.payload)
        reply = msgspec.json.encode({"ok": True, "correlation": asked["correlation"]})
        await session.publish("hall-2/press/done", reply)


@contextlib.asynccontextmanager
async def surroundings(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Run all that the page's settings name; yield what to write there instead."""
    server = web.Application()
    server.router.add_route("*", "/{path:.*}", answer)
    scale = DeviceSimulator(folder / "scale")
    scale.plug.plug()
    async with (
        TestServer(server, host="127.0.0.1") as erp,
        run_broker(folder / "broker") as broker,
        open_session(broker.url, "press", None) as session,
        asyncio.TaskGroup() as tasks,
    ):
        await session.subscribe("hall-2/press/set")
        task = tasks.create_task(press(session))
        url = str(erp.make_url("")).rstrip("/")
        yield {
            "https://erp.example": url,
            "https://mes.example": url,
            "mqtt://127.0.0.1:1883": broker.url,
            "/dev/serial/by-id/usb-scale": str(scale.plug.link),
        }
        task.cancel()
    scale.plug.unplug()


def replaced(text: str, names: dict[str, str]) -> str:
    for name, value in names.items():
        text = text.replace(name, value)
    return text


@contextlib.asynccontextmanager
async def agent(folder: Path, names: dict[str, str]) -> AsyncIterator[str]:
    config = folder / "agent.toml"
    config.write_text(
        f'data = "{folder}/agent"\n[device]\nid = "robot-1"\nmachine_id = "m"\n'
        f'[api]\nlisten = "127.0.0.1:0"\ntokens = {{ ada = "{TOKEN}" }}\n'
        + replaced("\n".join(SETTINGS), names)
    )
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(app.run(load(config), stop, ready.set_result), name="agent")
        async with asyncio.timeout(WAIT_S):
            yield await ready
        stop.set()


async def ended(http: ClientSession, url: str, task: Any) -> Any:
    """Submit a task; return it once it has ended, woken by the live changes."""
    async with http.ws_connect(f"{url}/api/live") as live:
        await live.send_json({"subscribe": ["tasks"]})
        await live.receive_json(timeout=WAIT_S)
        async with http.post(f"{url}/api/tasks", json=task) as posted:
            shown = await posted.json()
            assert posted.status == 201, shown
        while shown["status"] not in ENDED:
            await live.receive_json(timeout=WAIT_S)
            async with http.get(f"{url}/api/tasks/{shown['id']}") as answered:
                shown = await answered.json()
    return shown


async def test_every_example_runs(tmp_path: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        surroundings(tmp_path) as names,
        agent(tmp_path, names) as url,
        ClientSession(headers=headers) as http,
    ):
        outputs = []
        for text in TASKS:
            shown = await ended(http, url, msgspec.json.decode(replaced(text, names)))
            assert shown["status"] == "succeeded", shown
            outputs.append(shown["attempts"][-1]["output"])
    du, echo, done, orders, lamp, reply, weighed, waited = outputs
    assert du["stdout"].endswith("/usr/share/doc\n")
    assert echo["stdout"] == "two words\n"
    assert done["body"] == "POST /orders/17/done"
    assert orders["body"] == "GET /orders?open=1"
    assert lamp == {}
    assert reply["reply"]["ok"] is True
    assert weighed["reply"] == "ok weigh"
    assert waited == {}
