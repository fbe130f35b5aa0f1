"""Tasks submitted by 64 REST clients, beside an endpoint that one would write without Skerry."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter

import msgspec
from aiohttp import ClientSession

from bench import programs
from bench.figures import Figure, Rate, figure
from bench.programs import Program
from bench.sizes import Sizes

CLIENTS = 64
SUBMISSION = b'{"type": "deliver", "payload": {"to": "ward-7"}, "priority": "high"}'
PEER = "plain aiohttp + sqlite3 FULL, a commit each"
OURS = f"{CLIENTS} clients submit by REST"


class Taken(msgspec.Struct, frozen=True):
    """What a server did: tasks a second, and its processor time for each, µs."""

    per_s: float
    cpu_us: float


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure both in turns, each in a process of its own with a new database."""
    peer: list[Taken] = []
    ours: list[Taken] = []
    for number in range(sizes.repetitions):
        async with _endpoint(folder / f"plain-{number}") as (program, port):
            peer.append(await _submit(program, port, sizes.rate_s))
        async with _hub(folder / f"hub-{number}") as (program, port):
            ours.append(await _submit(program, port, sizes.rate_s))
    rates = [one.per_s for one in peer], [one.per_s for one in ours]
    costs = [one.cpu_us for one in peer], [one.cpu_us for one in ours]
    cost = "{}, processor time a task".format
    return [
        figure("submissions", PEER, "tasks/s", rates[0]),
        figure("submissions", OURS, "tasks/s", rates[1], beside=(PEER, rates[0])),
        figure("submissions", cost(PEER), "µs", costs[0]),
        figure("submissions", cost(OURS), "µs", costs[1], beside=(cost(PEER), costs[0])),
    ]


@asynccontextmanager
async def _endpoint(folder: Path) -> AsyncIterator[tuple[Program, int]]:
    folder.mkdir()
    port = programs.free_port()
    arguments = ("--port", port, "--database", folder / "plain.db", "--token", programs.TOKEN)
    async with programs.running(folder / "log", "bench.plain_endpoint", *arguments) as program:
        await program.until_ready(port)
        yield program, port


@asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[tuple[Program, int]]:
    port = programs.free_port()
    settings = programs.write_hub_settings(folder, port)
    async with programs.running(folder / "log", "hub", "serve", "--config", settings) as program:
        await program.until_ready(port)
        yield program, port


async def _submit(program: Program, port: int, seconds: float) -> Taken:
    """Submit for so long; the clients share the server's two cores."""
    start, cpu_s = perf_counter(), program.cpu_s()
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(_submit_on(port, start + seconds), name=f"client-{number}")
            for number in range(CLIENTS)
        ]
    taken = Rate(sum(one.result() for one in running), perf_counter() - start)
    cpu_s = program.cpu_s() - cpu_s
    held = await _total(port)
    if held != taken.count:
        raise RuntimeError(f"{taken.count} tasks were acknowledged, and {held} are counted")
    return Taken(taken.per_s, cpu_s / taken.count * 1e6)


async def _submit_on(port: int, until_s: float) -> int:
    """Submit until a moment, once at least; a bare socket: little of it is in the figure."""
    reader, writer = await asyncio.open_connection(programs.HOST, port)
    head = (
        f"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {programs.TOKEN}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(SUBMISSION)}\r\n\r\n"
    )
    request = head.encode() + SUBMISSION
    count = 0
    try:
        while count == 0 or perf_counter() < until_s:
            writer.write(request)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 201"):
                raise RuntimeError(answer.decode())
            length = answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await reader.readexactly(int(length))
            count += 1
    finally:
        writer.close()
    return count


async def _total(port: int) -> int:
    headers = {"Authorization": f"Bearer {programs.TOKEN}"}
    url = f"http://{programs.HOST}:{port}/api/tasks/summary"
    async with ClientSession(headers=headers) as client, client.get(url) as answer:
        return int((await answer.json())["total"])
