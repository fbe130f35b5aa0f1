"""Every way a request can be wrong: a problem that names it, the node alive, nothing written."""

import asyncio
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.served import WAIT_S, Served, serve_node

UNKNOWN = "0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f"
MEBIBYTE = 1024 * 1024
URN = "urn:skerry:problem:"


def problem(answered: Any, status: int, word: str) -> Any:
    assert answered.status == status, answered.raw
    assert answered.headers["Content-Type"].startswith("application/problem+json")
    found = answered.json
    assert found["type"] == URN + word
    assert found["status"] == status
    assert found["title"]
    assert found["detail"]
    return found


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b'{"id": "a"} x', "malformed"),
        (b"\xff\xfe", "malformed"),
        (b'{"id": "\xff"}', "malformed"),
        (b'{"id": "\\ud800"}', "malformed"),
        (b'{"id": NaN}', "malformed"),
        (b'{"colour": "\xff"}', "malformed"),
        (b"{} {}", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"id":"a","attributes":' + b'{"a":' * 40 + b"1" + b"}" * 41, "invalid"),
        (b"[]", "invalid"),
        (b"null", "invalid"),
        (b"{}", "invalid"),
    ],
)
async def test_a_body_that_is_not_right_is_400(hub: Served, raw: bytes, word: str) -> None:
    before = hub.replica.node.position
    answered = await hub.call("POST", "/api/equipment", raw=raw)
    problem(answered, 400, word)
    assert hub.replica.node.position == before


@pytest.mark.parametrize(
    ("method", "path", "body", "place", "message"),
    [
        ("POST", "/api/equipment", {"id": "a", "colour": 1}, "$.colour", "unknown field"),
        ("POST", "/api/equipment", {"name": "x"}, "$.id", "required"),
        ("POST", "/api/equipment", {"id": "Press 1"}, "$.id", None),
        ("POST", "/api/equipment", {"id": "a", "attributes": {"k": []}}, "$.attributes[...]", None),
        ("POST", "/api/equipment", {"id": "a", "name": "x" * 201}, "$.name", None),
        ("POST", "/api/tasks", {"command": "echo", "priority": "urgent"}, "$.priority", None),
        ("POST", "/api/tasks", {"command": "echo", "colour": "g"}, "$.colour", "unknown field"),
        (
            "POST",
            "/api/tasks",
            {"command": "echo", "after": [{"task": UNKNOWN, "when": 1}]},
            "$.after[0].when",
            "unknown field",
        ),
        ("POST", "/api/tasks", {"command": "x", "not_before": "2026-01-01T00:00"}, None, None),
        ("POST", f"/api/tasks/{UNKNOWN}/priority", {"priority": 1}, "$.priority", None),
        ("PUT", "/api/equipment/a/state", {"state": "blue"}, "$.state", None),
        ("PUT", "/api/equipment/a/state", {"state": "red", "note": 5}, "$.note", None),
        ("PATCH", "/api/equipment/a", {"attributes": None}, "$.attributes", None),
        ("POST", "/api/conflicts/c-1/resolve", {"value": 1}, "$.value", None),
    ],
)
async def test_a_wrong_field_is_named_by_its_place(
    hub: Served, method: str, path: str, body: Any, place: str | None, message: str | None
) -> None:
    found = problem(await hub.call(method, path, body), 400, "invalid")
    if place is not None:
        assert found["errors"][0]["path"] == place
    if message is not None:
        assert found["errors"] == [{"path": place, "message": message}]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/api/equipment?limit=0", "$.limit"),
        ("/api/equipment?limit=501", "$.limit"),
        ("/api/equipment?limit=x", "$.limit"),
        ("/api/equipment?limit=5&limit=6", "$.limit"),
        ("/api/equipment?page=2", "$.page"),
        ("/api/equipment?cursor=!", "$.cursor"),
        ("/api/equipment?cursor=", "$.cursor"),
        ("/api/conflicts?cursor=", "$.cursor"),
        ("/api/devices?cursor=", "$.cursor"),
        ("/api/equipment/a/history?cursor=", "$.cursor"),
        ("/api/equipment?cursor=kQE", "$.cursor"),
        ("/api/conflicts?status=closed", "$.status"),
        ("/api/conflicts?cursor=%00", "$.cursor"),
        ("/api/devices?cursor=zzzz", "$.cursor"),
        ("/api/tasks?status=queued,waiting", "$.status[1]"),
        ("/api/tasks?priority=0", "$.priority[0]"),
        ("/api/tasks?order=oldest", "$.order"),
        ("/api/tasks?status=", "$.status"),
        ("/api/tasks?group=,", "$.group"),
        ("/api/tasks?cursor=zz", "$.cursor"),
        ("/api/equipment/a/history?from=yesterday", "$.from"),
        ("/api/tasks/summary?status=dead", "$.status"),
        ("/api/node?colour=red", "$.colour"),
        ("/api/equipment/a/history?from=2026-01-01T00:00:00", "$.from"),
    ],
)
async def test_a_wrong_query_is_named_by_its_place(hub: Served, path: str, place: str) -> None:
    found = problem(await hub.call("GET", path), 400, "invalid")
    assert found["errors"][0]["path"] == place


async def test_a_caller_that_hangs_up_in_mid_body_is_no_fault_of_the_node(
    hub: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = hub.replica.node.position
    address = urlsplit(hub.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        b"POST /api/tasks HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ada-token\r\n"
        b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(WAIT_S):
        while b'method="POST",status="400"' not in (await hub.call("GET", "/metrics")).raw:
            continue  # each question is a round trip: the loop turns meanwhile
    assert "failed" not in caplog.text
    assert hub.replica.node.position == before


@pytest.mark.parametrize("packing", ["gzip", "deflate"])
async def test_a_body_that_is_not_packed_as_it_says_is_malformed_and_no_fault_of_the_node(
    hub: Served, caplog: pytest.LogCaptureFixture, packing: str
) -> None:
    """✗ 400, as it should be, and three tracebacks in the log."""
    headers = {"Content-Encoding": packing}
    for path in ("/api/tasks", "/api/nothing"):  # what is not there is not read
        answered = await hub.call("POST", path, raw=b"packed?", headers=headers)
        word = "malformed" if path == "/api/tasks" else "not-found"
        problem(answered, 400 if word == "malformed" else 404, word)
    assert (await hub.call("GET", "/api/tasks")).status == 200
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("cursor", ["ks9-__________zv_________", "kc9__________w"])
async def test_a_cursor_with_giant_numbers_is_refused(hub: Served, cursor: str) -> None:
    await hub.equipment()
    answered = await hub.call("GET", f"/api/equipment/press-1/history?cursor={cursor}")
    problem(answered, 400, "invalid")


@pytest.mark.parametrize("header", ["text/plain", "application/x-www-form-urlencoded", "x"])
async def test_another_content_type_is_malformed(hub: Served, header: str) -> None:
    answered = await hub.call(
        "POST", "/api/equipment", {"id": "a"}, headers={"Content-Type": header}
    )
    assert header in problem(answered, 400, "malformed")["detail"]


async def test_a_body_over_the_limit_is_413_and_one_at_the_limit_is_read(hub: Served) -> None:
    body = b'{"command":"echo","id":null' + b" " * MEBIBYTE + b"}"
    problem(await hub.call("POST", "/api/tasks", raw=body), 413, "too-large")
    body = b'{"command":"echo"' + b" " * (MEBIBYTE - 18) + b"}"
    assert len(body) == MEBIBYTE
    assert (await hub.call("POST", "/api/tasks", raw=body)).status == 201


async def test_a_compressed_bomb_is_413(hub: Served) -> None:
    bomb = zlib.compress(b" " * (64 * MEBIBYTE))
    answered = await hub.call(
        "POST", "/api/equipment", raw=bomb, headers={"Content-Encoding": "deflate"}
    )
    problem(answered, 413, "too-large")


@pytest.mark.parametrize("value", [10**30, -(10**30), 1 << 64])
async def test_a_number_beyond_64_bits_is_refused(hub: Served, value: int) -> None:
    task = {"type": "wait", "payload": {"seconds": value}}
    problem(await hub.call("POST", "/api/tasks", task), 400, "invalid")
    thing = {"id": "a", "attributes": {"k": value}}
    problem(await hub.call("POST", "/api/equipment", thing), 400, "invalid")


@pytest.mark.parametrize("depth", [40, 500, 100_000])
async def test_a_payload_nested_too_deep_is_refused(hub: Served, depth: int) -> None:
    raw = b'{"type":"wait","payload":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"
    problem(await hub.call("POST", "/api/tasks", raw=raw), 400, "malformed")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/equipment/nothing"),
        ("GET", "/api/equipment/nothing/history"),
        ("GET", "/api/equipment/..%2f..%2fetc"),
        ("GET", f"/api/tasks/{UNKNOWN}"),
        ("GET", "/api/tasks/nothing"),
        ("POST", f"/api/tasks/{UNKNOWN}/cancel"),
        ("POST", f"/api/tasks/{UNKNOWN}/retry"),
        ("GET", "/api/conflicts/c-none"),
        ("GET", "/api/devices/nothing"),
        ("GET", "/api/dreams"),
        ("POST", f"/api/tasks/{UNKNOWN}/force"),
        ("POST", "/api/auth/login"),
        ("GET", "/api/alerts"),
        ("GET", "/nothing"),
    ],
)
async def test_what_is_not_there_is_404(hub: Served, method: str, path: str) -> None:
    problem(await hub.call(method, path), 404, "not-found")


async def test_what_only_the_hub_serves_is_not_here_and_the_agent_says_where(agent: Served) -> None:
    for path in (f"/api/tasks/{UNKNOWN}/force", f"/api/tasks/{UNKNOWN}/settle"):
        found = problem(await agent.call("POST", path), 404, "not-found")
        assert found["detail"].endswith("what only the hub decides is served by the hub")


async def test_writes_to_unknown_records_write_nothing(hub: Served) -> None:
    before = hub.replica.node.position
    for method, path, body in (
        ("PUT", "/api/equipment/nothing/state", {"state": "red"}),
        ("PATCH", "/api/equipment/nothing", {"name": "x"}),
        ("DELETE", "/api/equipment/nothing", None),
        ("POST", "/api/conflicts/c-0/resolve", {"value": {"state": "red"}}),
        ("POST", f"/api/tasks/{UNKNOWN}/priority", {"priority": "high"}),
    ):
        problem(await hub.call(method, path, body), 404, "not-found")
    assert hub.replica.node.position == before


async def test_another_verb_is_405_and_says_which_there_are(hub: Served) -> None:
    answered = await hub.call("PUT", "/api/equipment", {"id": "a"})
    problem(answered, 405, "method")
    assert answered.headers["Allow"] == "GET, HEAD, POST"


async def test_creating_what_exists_is_409(hub: Served) -> None:
    await hub.equipment()
    problem(await hub.call("POST", "/api/equipment", {"id": "press-1"}), 409, "conflict")


async def test_an_illegal_move_is_409(hub: Served) -> None:
    task = (await hub.call("POST", "/api/tasks", {"command": "echo"})).json
    path = f"/api/tasks/{task['id']}"
    assert (await hub.call("POST", f"{path}/cancel")).json["status"] == "cancelled"
    problem(await hub.call("POST", f"{path}/cancel"), 409, "illegal-move")
    problem(await hub.call("POST", f"{path}/retry", {}), 409, "illegal-move")


async def test_a_rule_that_says_no_is_422(hub: Served) -> None:
    problem(await hub.call("POST", "/api/tasks", {"command": "echo 'x"}), 422, "refused")
    task = {"command": "echo", "after": [UNKNOWN]}
    problem(await hub.call("POST", "/api/tasks", task), 422, "refused")
    thing = {"id": "a", "site": "elsewhere"}
    problem(await hub.call("POST", "/api/equipment", thing), 422, "refused")


@pytest.fixture
async def two_sites(tmp_path: Path) -> AsyncIterator[Served]:
    async with serve_node(tmp_path, sites=("demo", "north")) as served:
        yield served


async def test_a_site_left_out_is_400_where_there_are_several(two_sites: Served) -> None:
    answered = await two_sites.call("POST", "/api/equipment", {"id": "a"})
    assert problem(answered, 400, "invalid")["errors"][0]["path"] == "$.site"
    answered = await two_sites.call("POST", "/api/tasks", {"command": "echo"})
    assert problem(answered, 400, "invalid")["errors"][0]["path"] == "$.site"


async def test_a_closed_store_is_503_with_retry_after(hub: Served) -> None:
    await hub.replica.close()
    answered = await hub.call("POST", "/api/equipment", {"id": "a"})
    problem(answered, 503, "closing")
    assert answered.headers["Retry-After"] == "1"


async def test_a_full_store_is_503_and_reading_goes_on(hub: Served) -> None:
    await hub.equipment()
    await hub.report("press-1", "red", note="x" * 2000)
    await hub.get("/api/equipment")  # the tables have followed: the next report replaces pages
    # The bound of SQLite itself: what a full disk looks like to a transaction.
    full = "PRAGMA max_page_count = 1"
    await hub.replica.run_on_writer(lambda store: store.reading().db.execute(full))
    note = "x" * 2000
    answered = None
    for _ in range(200):
        body = {"state": "red", "note": note}
        answered = await hub.call("PUT", "/api/equipment/press-1/state", body)
        if answered.status != 200:
            break
    problem(answered, 503, "store-full")
    assert answered is not None
    assert int(answered.headers["Retry-After"]) > 0
    assert (await hub.get("/api/equipment"))["items"]


async def test_an_unexpected_error_is_500_with_an_id_that_the_log_has(
    hub: Served, caplog: pytest.LogCaptureFixture
) -> None:
    await hub.equipment()
    assert (await hub.call("GET", "/api/equipment")).status == 200
    # A table that is gone is no error that any code expects.
    drop = "ALTER TABLE equipment RENAME TO elsewhere"
    await hub.replica.run_on_writer(lambda store: store.reading().db.execute(drop))
    answered = await hub.call("GET", "/api/equipment")
    found = problem(answered, 500, "internal")
    assert found["instance"].startswith("urn:uuid:")
    assert found["instance"] in caplog.text
    assert b"sqlite" not in answered.raw.lower()
    assert b"Traceback" not in answered.raw
    assert (await hub.call("GET", "/healthz")).status == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"hello there\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/node HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /api/node HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
    ids=["no-http", "version", "header", "length", "long-line", "long-header"],
)
async def test_what_is_no_http_request_gets_a_problem_too(hub: Served, sent: bytes) -> None:
    address = urlsplit(hub.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(WAIT_S):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    assert head.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"Content-Type: application/problem+json" in head
    found = json.loads(body)
    assert (found["type"], found["status"]) == (f"{URN}malformed", 400)
    assert found["detail"].startswith("this is no HTTP request: ")
    assert (await hub.call("GET", "/api/node")).status == 200
