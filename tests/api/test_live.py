"""Live changes: told once they last, resumed without a gap, bounded for those who do not listen."""

import asyncio
import socket as sockets
from functools import partial
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

from shared.api import live_feed, task_actions
from shared.core.kinds.equipment import PERSON, Created, Report, State
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import Status
from shared.store.transaction import Transaction
from tests.api.nodes import SITE, hello, seat_at, tell_progress
from tests.api.served import TOKENS, WAIT_S, Served, hear

ALL = ["equipment", "tasks", "conflicts", "devices"]


async def closing(socket: ClientWebSocketResponse) -> tuple[int | None, str]:
    """Wait for the close frame; return its code and reason."""
    while True:
        message = await socket.receive(timeout=WAIT_S)
        if message.type is WSMsgType.CLOSE:
            return message.data, message.extra or ""
        if message.type in (WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
            return socket.close_code, ""


def report_many(tx: Transaction, count: int, note: str = "") -> None:
    """Make this many pieces of equipment report, in one transaction."""
    for number in range(count):
        subject = f"m-{number:05}"
        for kind, register, body in (
            ("equipment.created", "created", Created()),
            ("equipment.state", PERSON, Report(State.RED, note=note)),
        ):
            tx.append(
                site=SITE, kind=kind, subject=subject, register=register, body=body, actor="ada"
            )


async def test_a_change_brings_the_record_as_get_gives_it(hub: Served) -> None:
    await hub.equipment()
    async with hub.live(subscribe=["equipment"]) as socket:
        first = await hear(socket)
        assert first["type"] == "subscribed"
        assert first["topics"] == ["equipment"]
        assert first["position"] == (await hub.get("/api/node"))["position"]
        await hub.report("press-1", "red", reason="jam")
        change = await hear(socket)
        assert (change["type"], change["topic"], change["op"]) == ("change", "equipment", "put")
        assert change["record"] == await hub.get("/api/equipment/press-1")
        assert change["position"] == (await hub.get("/api/node"))["position"]


async def test_a_deleted_record_is_told_by_its_id(hub: Served) -> None:
    await hub.equipment()
    async with hub.live(subscribe=["equipment"]) as socket:
        await hear(socket)
        await hub.call("DELETE", "/api/equipment/press-1")
        change = await hear(socket)
        assert (change["op"], change["record"]) == ("delete", "press-1")


async def test_only_what_was_subscribed_to_is_told(hub: Served) -> None:
    task = (await hub.call("POST", "/api/tasks", {"command": "echo"})).json
    other = (await hub.call("POST", "/api/tasks", {"command": "echo"})).json
    topics = [f"task:{task['id']}", "conflicts"]
    async with hub.live(subscribe=topics) as socket:
        await hear(socket)
        await hub.call("POST", f"/api/tasks/{other['id']}/cancel")
        await hub.conflict()
        conflict = await hear(socket)
        assert (conflict["topic"], conflict["record"]["status"]) == ("conflicts", "open")
        await hub.call("POST", f"/api/tasks/{task['id']}/cancel")
        change = await hear(socket)
        assert change["topic"] == topics[0]
        assert change["record"] == await hub.get(f"/api/tasks/{task['id']}")


async def test_a_task_that_waits_for_the_changed_one_is_told_too(hub: Served) -> None:
    first = (await hub.call("POST", "/api/tasks", {"command": "echo"})).json
    edge = {"task": first["id"], "on": "end"}
    after = (await hub.call("POST", "/api/tasks", {"command": "echo", "after": [edge]})).json
    assert after["status"] == "blocked"
    async with hub.live(subscribe=["tasks"]) as socket:
        await hear(socket)
        await hub.call("POST", f"/api/tasks/{first['id']}/cancel")
        told = {(m := (await hear(socket))["record"])["id"]: m["status"] for _ in range(2)}
        assert told == {first["id"]: "cancelled", after["id"]: "queued"}


async def test_devices_are_told_at_the_hub(hub: Served) -> None:
    async with hub.live(subscribe=["devices"]) as socket:
        await hear(socket)
        await hello(hub.replica, "robot-1")
        change = await hear(socket)
        assert change["record"] == await hub.get("/api/devices/robot-1")


async def test_one_who_comes_back_hears_what_was_missed_once_and_current(hub: Served) -> None:
    await hub.equipment()
    await hub.equipment("press-2")
    position = (await hub.call("GET", "/api/equipment")).headers["Skerry-Position"]
    await hub.report("press-1", "red")
    await hub.report("press-1", "green")
    await hub.call("DELETE", "/api/equipment/press-2")
    await hub.conflict("press-3")
    async with hub.live(subscribe=ALL, after=position) as socket:
        assert (await hear(socket))["position"] == position
        told = [await hear(socket) for _ in range(4)]
        summary = [(m["topic"], m["op"]) for m in told]
        assert sorted(summary) == [
            ("conflicts", "put"),
            ("equipment", "delete"),
            ("equipment", "put"),
            ("equipment", "put"),
        ]
        assert told[0]["record"]["state"] == "green"
        numbers = [int(m["position"].partition(":")[2]) for m in told]
        assert numbers == sorted(numbers)
        newest = (await hub.get("/api/node"))["position"]
        assert told[-1]["position"] == newest
    async with hub.live(subscribe=ALL, after=newest) as socket:
        await hear(socket)
        await hub.report("press-1", "yellow")
        assert (await hear(socket))["record"]["id"] == "press-1", "nothing was left to catch up"


@pytest.mark.parametrize("heard", [0, 1, 2])
async def test_wherever_the_link_breaks_nothing_is_missed(hub: Served, heard: int) -> None:
    """A record and its conflict share a position: coming back between them misses neither."""
    position = (await hub.get("/api/node"))["position"]
    conflict = await hub.conflict()
    await hub.call("POST", f"/api/conflicts/{conflict['id']}/resolve", {"value": {"state": "red"}})
    latest: dict[str, Any] = {}
    async with hub.live(subscribe=["equipment", "conflicts"], after=position) as socket:
        await hear(socket)
        for _ in range(heard):
            message = await hear(socket)
            latest[message["record"]["id"]], position = message["record"], message["position"]
    await hub.equipment("the-end")
    async with hub.live(subscribe=["equipment", "conflicts"], after=position) as socket:
        await hear(socket)
        while "the-end" not in latest:
            record = (await hear(socket))["record"]
            latest[record["id"]] = record
    assert latest[conflict["id"]] == await hub.get(f"/api/conflicts/{conflict['id']}")
    assert latest["press-1"] == await hub.get("/api/equipment/press-1")


@pytest.mark.parametrize("after", ["0000:1", "nonsense", "", "x:y", "0000:" + "9" * 30])
async def test_a_position_of_another_epoch_is_reset(hub: Served, after: str) -> None:
    await hub.equipment()
    now = (await hub.get("/api/node"))["position"]
    async with hub.live(subscribe=["equipment"], after=after) as socket:
        assert (await hear(socket))["type"] == "subscribed"
        reset = await hear(socket)
        assert (reset["type"], reset["position"]) == ("reset", now)
        assert reset["reason"]
        await hub.report("press-1", "red")
        assert (await hear(socket))["type"] == "change", "it goes on from there"


async def test_a_position_of_the_future_is_reset(hub: Served) -> None:
    epoch = hub.replica.node.epoch
    async with hub.live(subscribe=["equipment"], after=f"{epoch}:99") as socket:
        await hear(socket)
        assert (await hear(socket))["type"] == "reset"


async def test_a_position_too_old_is_reset(hub: Served) -> None:
    start = (await hub.get("/api/node"))["position"]
    count = live_feed.RESUME_MAX + 1
    await hub.replica.write(lambda tx: report_many(tx, count))
    async with hub.live(subscribe=["equipment"], after=start) as socket:
        await hear(socket)
        reset = await hear(socket)
        assert (reset["type"], reset["reason"]) == ("reset", "position too old")


async def test_changes_coalesce_while_others_are_told(hub: Served) -> None:
    """A burst costs as many messages as it has records, or a few more: not one per change."""
    await hub.equipment()
    async with hub.live(subscribe=["equipment"]) as socket:
        await hear(socket)

        def burst(tx: Transaction) -> None:
            for number in range(500):
                body = Report(State.RED, note=str(number))
                tx.append(
                    site=SITE,
                    kind="equipment.state",
                    subject="press-1",
                    register=PERSON,
                    body=body,
                    actor="ada",
                )

        await hub.replica.write(burst)
        change = await hear(socket)
        assert change["record"]["note"] == "499"


async def test_all_listeners_of_a_burst_hear_all_of_it(hub: Served) -> None:
    async with (
        hub.live(subscribe=["equipment"]) as left,
        hub.live(subscribe=["equipment", "tasks"]) as right,
    ):
        await hear(left)
        await hear(right)
        await hub.replica.write(lambda tx: report_many(tx, 300))
        for socket in (left, right):
            told = [(await hear(socket))["record"]["id"] for _ in range(300)]
            assert told == [f"m-{number:05}" for number in range(300)]


async def test_one_who_does_not_read_is_cut_off_and_the_others_are_not(hub: Served) -> None:
    """Promise 6."""
    small = TCPConnector(socket_factory=_with_small_buffer)
    async with (
        ClientSession(connector=small, read_bufsize=1024) as deaf_client,
        deaf_client.ws_connect(f"{hub.url}/api/live") as deaf,
        hub.live(subscribe=["tasks"]) as other,
    ):
        await deaf.send_json({"subscribe": ["equipment"], "token": TOKENS["ada"]})
        await hear(deaf)
        await hear(other)
        connection = deaf._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.pause_reading()
        for _ in range(4):
            await hub.replica.write(lambda tx: report_many(tx, 1500, note="x" * 2000))
            await settled(hub)
        await hub.call("POST", "/api/tasks", {"command": "echo"})
        assert (await hear(other))["topic"] == "tasks"
        connection.transport.resume_reading()
        code, reason = await closing(deaf)
        assert code == 4408
        assert "1000" in reason


async def test_a_deaf_listener_of_tasks_comes_back_and_misses_nothing(hub: Served) -> None:
    """It is told that it lagged, the others hear everything, and from its position it goes on."""
    big = {"text": "x" * 5000}  # more than the kernel buffers for one who does not read
    ids = [await hub.node.submit(type="x", payload=big) for _ in range(300)]
    small = TCPConnector(socket_factory=_with_small_buffer)
    async with (
        ClientSession(connector=small, read_bufsize=1024) as deaf_client,
        deaf_client.ws_connect(f"{hub.url}/api/live") as deaf,
        hub.live(subscribe=["tasks"]) as other,
    ):
        await deaf.send_json({"subscribe": ["tasks"], "token": TOKENS["ada"]})
        position = (await hear(deaf))["position"]
        await hear(other)
        connection = deaf._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.pause_reading()
        for turn in range(8):
            await hub.replica.write(partial(prioritise_all, ids=ids, turn=turn))
            heard = [(await hear(other))["record"]["id"] for _ in ids]
            assert heard == ids, "the one that listens is not held up"
        connection.transport.resume_reading()
        while (message := await deaf.receive(timeout=WAIT_S)).type is WSMsgType.TEXT:
            position = msgspec.json.decode(message.data)["position"]
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4408)
    latest: dict[str, Any] = {}
    async with hub.live(subscribe=["tasks"], after=position) as socket:
        assert (await hear(socket))["type"] == "subscribed"
        while ids[-1] not in latest:
            record = (await hear(socket))["record"]
            latest[record["id"]] = record
    last = (await hub.get("/api/tasks?limit=500"))["items"]
    wanted = {task["id"]: task["etag"] for task in last}
    assert {id_: record["etag"] for id_, record in latest.items()} == wanted


async def test_progress_is_told_and_coalesced(hub: Served) -> None:
    task_id = await hub.node.submit()
    await hub.replica.write(lambda tx: seat_at(tx, task_id, "robot-1"))
    await hub.node.report(task_id, Status.RUNNING, number=1)
    async with hub.live(subscribe=["tasks", f"task:{task_id}"]) as socket:
        await hear(socket)

        def burst(tx: Transaction) -> None:
            for done in range(500):
                tell_progress(tx, task_id, 1, done=done)

        await hub.replica.write(burst)
        told = [await hear(socket) for _ in range(2)]
        assert {m["topic"] for m in told} == {"tasks", f"task:{task_id}"}
        for message in told:
            assert message["record"]["attempts"][0]["progress"] == {"done": 499}
            assert message["record"] == await hub.get(f"/api/tasks/{task_id}")
        await hub.node.report(task_id, Status.SUCCEEDED, number=1)
        assert (await hear(socket))["record"]["status"] == "succeeded", "no other message came"


def prioritise_all(tx: Transaction, ids: list[str], turn: int) -> None:
    """Change the priority of tasks, in one transaction."""
    for task_id in ids:
        priority = Priority.LOW if turn % 2 else Priority.HIGH
        task_actions.set_priority(tx, task_id, priority, "ada")


async def settled(hub: Served) -> None:
    """Wait until the feed has told all there is, which the metrics cannot say: ask in its turn."""
    async with hub.live(subscribe=["equipment"]) as probe:
        await hear(probe)
        await hub.call("POST", "/api/equipment", {"id": "probe"})
        await hub.call("DELETE", "/api/equipment/probe")
        while (await hear(probe))["op"] != "delete":
            continue


def _with_small_buffer(info: Any) -> sockets.socket:
    family, kind, proto, _, _ = info
    made = sockets.socket(family, kind, proto)
    made.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    return made


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("x", 4400),
        ("[]", 4400),
        ("{}", 4400),
        ('{"subscribe": []}', 4400),
        ('{"subscribe": ["nothing"]}', 4400),
        ('{"subscribe": ["task:"]}', 4400),
        ('{"subscribe": ["equipment"], "colour": 1}', 4400),
        ('{"subscribe": "equipment"}', 4400),
        ('{"subscribe": ["equipment"], "after": 5}', 4400),
        ("[" * 50_000, 4400),
        ('{"subscribe": ["equipment"]}', 4401),
        ('{"subscribe": ["equipment"], "token": "wrong"}', 4401),
    ],
)
async def test_a_bad_hello_is_closed_with_its_code(hub: Served, message: str, code: int) -> None:
    async with hub.live() as socket:
        if code == 4400 and message.startswith("{"):
            raw = msgspec.json.decode(message)
            message = msgspec.json.encode({**raw, "token": TOKENS["ada"]}).decode()
        await socket.send_str(message)
        found, reason = await closing(socket)
        assert found == code
        assert reason


async def test_binary_is_no_hello_and_too_much_is_cut(hub: Served) -> None:
    async with hub.live() as socket:
        await socket.send_bytes(b"\x00" * 10)
        assert (await closing(socket))[0] == 4400
    async with hub.live() as socket:
        await socket.send_str("x" * 100_000)
        assert (await closing(socket))[0] in (1009, 4400)


async def test_a_second_message_is_refused(hub: Served) -> None:
    async with hub.live(subscribe=["equipment"]) as socket:
        await hear(socket)
        await socket.send_json({"subscribe": ["tasks"]})
        assert (await closing(socket))[0] == 4400


async def test_silence_is_closed_after_five_seconds(hub: Served) -> None:
    begin = asyncio.get_running_loop().time()
    async with hub.live() as socket:
        assert (await closing(socket))[0] == 4400
    assert 4 < asyncio.get_running_loop().time() - begin < 8


async def test_the_header_carries_the_token_as_well(hub: Served) -> None:
    headers = {"Authorization": "Bearer bo-token"}
    async with hub.client.ws_connect(f"{hub.url}/api/live", headers=headers) as socket:
        await socket.send_json({"subscribe": ["equipment"]})
        assert (await hear(socket))["type"] == "subscribed"


async def test_a_plain_get_is_a_problem(hub: Served) -> None:
    answered = await hub.call("GET", "/api/live")
    assert answered.status == 400
    assert answered.headers["Content-Type"] == "application/problem+json"


async def test_a_listener_that_vanishes_leaves_nothing_behind(hub: Served) -> None:
    async with hub.live(subscribe=["equipment"]) as socket:
        await hear(socket)
        connection = socket._conn
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
    async with asyncio.timeout(WAIT_S):
        while "skerry_live_listeners 0\n" not in (await hub.call("GET", "/metrics")).raw.decode():
            await hub.equipment(f"e-{hub.replica.node.position}")
