"""Handler ``http`` against a real server."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict, CIMultiDictProxy

from agent.handlers.handler import HandlerFailed, Output, Run
from agent.handlers.http import BODY_BYTES_MAX, Http, retry_after_s
from agent.handlers.target import Target
from shared.errors import Invalid
from tests.agent.robot import WAIT_S, eventually

ANSWERS = {
    "/ok": (200, {}),
    "/created": (201, {"Location": "/things/1", "Set-Cookie": "a=b"}),
    "/teapot": (418, {"Retry-After": "9"}),
    "/busy": (429, {"Retry-After": "7"}),
    "/early": (425, {}),
    "/late": (408, {}),
    "/broken": (500, {}),
    "/down": (503, {"Retry-After": "86400"}),
    "/moved": (301, {"Location": "/ok"}),
    "/again": (307, {"Location": "/ok#part"}),
    "/see-other": (303, {"Location": "/ok"}),
    "/away": (307, {"Location": "http://169.254.169.254/latest"}),
    "/loop": (307, {"Location": "/loop"}),
    "/nowhere": (307, {"Location": "http://[bad"}),
}


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.release = asyncio.Event()
        app = web.Application(client_max_size=2**21)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1")

    @property
    def url(self) -> str:
        return str(self._server.make_url("")).rstrip("/")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.asked.append(
            {
                "method": request.method,
                "path": request.path,
                "headers": request.headers,
                "body": body,
            }
        )
        if request.path == "/much":
            return web.Response(body=b"x" * 5_000_000, content_type="text/plain")
        if request.path == "/latin":
            return web.Response(
                body=b"\xe4", headers={"Content-Type": "text/plain; charset=latin-1"}
            )
        if request.path == "/strange":
            return web.Response(body=b"a", headers={"Content-Type": "text/plain; charset=nonsense"})
        if request.path == "/slow":
            await self.release.wait()
        if request.path == "/cut":
            assert request.transport is not None
            request.transport.abort()
        status, headers = ANSWERS.get(request.path, (200, {}))
        return web.json_response({"got": body}, status=status, headers=headers)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server._server.start_server()
    yield server
    server.release.set()
    await server._server.close()


def handler(*allow: str | Target, timeout_s: float = 30, body_bytes_max: int = 1000) -> Http:
    targets = [Target(one) if isinstance(one, str) else one for one in allow]
    return Http(
        allow=targets, timeout_s=timeout_s, connect_timeout_s=5, body_bytes_max=body_bytes_max
    )


async def request(one: Http, folder: Path, url: str, method: str = "GET", **payload: Any) -> Output:
    whole = {"method": method, "url": url, **payload}
    one.check(whole)
    async with asyncio.timeout(WAIT_S):
        return await one.run(Run("task-1", "attempt-1", 1, whole, "key-1", folder))


async def failure(one: Http, folder: Path, url: str, *args: Any, **payload: Any) -> HandlerFailed:
    with pytest.raises(HandlerFailed) as caught:
        await request(one, folder, url, *args, **payload)
    return caught.value


async def test_json_goes_out_with_the_key_of_the_task(server: Server, tmp_path: Path) -> None:
    output = await request(
        handler(f"{server.url}/*"), tmp_path, f"{server.url}/created", "POST", body={"a": [1, "ä"]}
    )
    assert output == {
        "status": 201,
        "headers": {
            "Content-Type": "application/json; charset=utf-8",
            "Location": "/things/1",
        },
        "body": '{"got": "{\\"a\\":[1,\\"\\u00e4\\"]}"}',
        "truncated": False,
    }
    (asked,) = server.asked
    assert asked["headers"]["Idempotency-Key"] == "key-1"
    assert asked["headers"]["Content-Type"] == "application/json"


async def test_text_goes_out_as_it_is(server: Server, tmp_path: Path) -> None:
    one = handler(f"{server.url}/*")
    await request(one, tmp_path, f"{server.url}/ok", "PUT", body="grün")
    await request(
        one, tmp_path, f"{server.url}/ok", "PUT", body="<a/>", headers={"content-type": "text/xml"}
    )
    await request(one, tmp_path, f"{server.url}/ok", "DELETE")
    assert [asked["body"] for asked in server.asked] == ["grün", "<a/>", ""]
    kinds = [asked["headers"].get("Content-Type") for asked in server.asked]
    assert kinds[:2] == ["text/plain; charset=utf-8", "text/xml"]


async def test_a_token_of_the_settings_goes_where_it_belongs(
    server: Server, tmp_path: Path
) -> None:
    target = Target(f"{server.url}/*", {"Authorization": "Bearer secret"})
    headers = {"authorization": "Bearer mine", "X-A": "b"}
    await request(handler(target), tmp_path, f"{server.url}/ok", headers=headers)
    (asked,) = server.asked
    assert asked["headers"].getall("Authorization") == ["Bearer secret"]
    assert asked["headers"]["X-A"] == "b"


@pytest.mark.parametrize(
    ("path", "permanent", "retry_after"),
    [
        ("/teapot", True, None),
        ("/busy", False, 7),
        ("/early", False, None),
        ("/late", False, None),
        ("/broken", False, None),
        ("/down", False, 3600),
    ],
)
async def test_a_status_says_whether_to_try_again(
    server: Server, tmp_path: Path, path: str, permanent: bool, retry_after: float | None
) -> None:
    failed = await failure(handler(f"{server.url}/*"), tmp_path, server.url + path)
    status = ANSWERS[path][0]
    assert failed.failure.type == "http-status"
    assert f"GET {server.url}{path} answered {status}" in failed.failure.message
    assert failed.failure.permanent is permanent
    assert failed.retry_after_s == retry_after
    assert failed.output is not None
    assert failed.output["status"] == status


async def test_what_is_expected_is_a_success(server: Server, tmp_path: Path) -> None:
    one = handler(f"{server.url}/*")
    output = await request(one, tmp_path, f"{server.url}/teapot", expect=[200, 418])
    assert output["status"] == 418
    failed = await failure(one, tmp_path, f"{server.url}/ok", expect=[204])
    assert failed.failure.permanent
    output = await request(one, tmp_path, f"{server.url}/again", expect=[307])
    assert output["headers"]["Location"] == "/ok#part"


async def test_a_url_off_the_list_is_not_asked(server: Server, tmp_path: Path) -> None:
    failed = await failure(handler(f"{server.url}/api/*"), tmp_path, f"{server.url}/ok")
    assert failed.failure.type == "not-allowed"
    assert failed.failure.permanent
    assert server.asked == []


@pytest.mark.parametrize(
    ("method", "path", "paths"),
    [
        ("GET", "/moved", ["GET /moved", "GET /ok"]),
        ("POST", "/again", ["POST /again", "POST /ok"]),
        ("POST", "/see-other", ["POST /see-other", "GET /ok"]),
    ],
)
async def test_a_redirect_to_what_is_allowed_is_followed(
    server: Server, tmp_path: Path, method: str, path: str, paths: list[str]
) -> None:
    body = None if method == "GET" else {"a": 1}
    await request(handler(f"{server.url}/*"), tmp_path, server.url + path, method, body=body)
    assert [f"{asked['method']} {asked['path']}" for asked in server.asked] == paths
    last = server.asked[-1]
    assert last["headers"]["Idempotency-Key"] == "key-1"
    assert last["body"] == ('{"a":1}' if path == "/again" else "")


@pytest.mark.parametrize(
    ("method", "path", "type_", "asked"),
    [
        ("GET", "/away", "not-allowed", 1),
        ("GET", "/loop", "redirect", 6),
        ("POST", "/moved", "http-status", 1),
        ("GET", "/nowhere", "http-status", 1),
    ],
)
async def test_another_redirect_is_a_permanent_error(
    server: Server, tmp_path: Path, method: str, path: str, type_: str, asked: int
) -> None:
    failed = await failure(handler(f"{server.url}/*"), tmp_path, server.url + path, method)
    assert failed.failure.type == type_
    assert failed.failure.permanent
    assert len(server.asked) == asked


async def test_credentials_of_the_payload_stay_with_their_server(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Server()
    await other._server.start_server()
    monkeypatch.setitem(ANSWERS, "/other", (307, {"Location": f"{other.url}/ok"}))
    headers = {"Authorization": "Bearer mine", "X-A": "b"}
    one = handler(f"{server.url}/*", f"{other.url}/*")
    await request(one, tmp_path, f"{server.url}/other", headers=headers)
    await other._server.close()
    assert server.asked[0]["headers"]["Authorization"] == "Bearer mine"
    assert "Authorization" not in other.asked[0]["headers"]
    assert other.asked[0]["headers"]["X-A"] == "b"


async def test_a_long_answer_is_cut(server: Server, tmp_path: Path) -> None:
    output = await request(handler(f"{server.url}/*"), tmp_path, f"{server.url}/much")
    assert output["body"] == "x" * 1000
    assert output["truncated"]


async def test_text_is_read_in_its_charset(server: Server, tmp_path: Path) -> None:
    one = handler(f"{server.url}/*")
    assert (await request(one, tmp_path, f"{server.url}/latin"))["body"] == "ä"
    assert (await request(one, tmp_path, f"{server.url}/strange"))["body"] == "a"


async def test_a_server_that_takes_too_long_is_tried_again(server: Server, tmp_path: Path) -> None:
    failed = await failure(
        handler(f"{server.url}/*", timeout_s=0.2), tmp_path, f"{server.url}/slow"
    )
    assert failed.failure.type == "timed-out"
    assert not failed.failure.permanent


async def test_a_server_that_is_away_or_hangs_up_is_tried_again(
    server: Server, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    for url in (nobody, f"{server.url}/cut"):
        failed = await failure(handler(url), tmp_path, url)
        assert failed.failure.type == "unreachable"
        assert not failed.failure.permanent


async def test_a_cancelled_request_ends_at_once(server: Server, tmp_path: Path) -> None:
    one = handler(f"{server.url}/*")
    task = asyncio.ensure_future(request(one, tmp_path, f"{server.url}/slow"))
    await eventually(lambda: bool(server.asked))
    task.cancel()
    async with asyncio.timeout(WAIT_S):
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert task.cancelled()


@pytest.mark.parametrize(
    ("retry_after", "date", "wait_s"),
    [
        ("12", None, 12),
        ("Fri, 27 Nov 2026 08:00:30 GMT", "Fri, 27 Nov 2026 08:00:00 GMT", 30),
        ("Fri, 27 Nov 2026 07:00:00 GMT", "Fri, 27 Nov 2026 08:00:00 GMT", 0),
        ("Fri, 27 Nov 2026 08:00:30 GMT", None, None),
        ("soon", None, None),
        ("-3", None, None),
        ("99999999", None, 3600),
    ],
)
def test_how_long_a_server_asks_to_wait(
    retry_after: str, date: str | None, wait_s: float | None
) -> None:
    headers = CIMultiDict({"Retry-After": retry_after})
    if date:
        headers["Date"] = date
    assert retry_after_s(CIMultiDictProxy(headers)) == wait_s


GOOD = {"method": "GET", "url": "http://a/"}


@pytest.mark.parametrize(
    "payload",
    [
        {"url": "http://a/"},
        {"method": "GET"},
        {**GOOD, "method": "get"},
        {**GOOD, "method": "CONNECT"},
        {**GOOD, "url": "http://[a"},
        {**GOOD, "headers": {"A b": "c"}},
        {**GOOD, "headers": {"A": "b\r\nC: d"}},
        {**GOOD, "headers": {"host": "b"}},
        {**GOOD, "headers": {"idempotency-key": "b"}},
        {**GOOD, "expect": []},
        {**GOOD, "expect": [99]},
        {**GOOD, "body": "x" * BODY_BYTES_MAX},
        {**GOOD, "timeout": 5},
    ],
)
def test_a_payload_that_is_no_request_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        handler().check(payload)
    assert caught.value.places[0][0].startswith("$.payload")
