"""Who may call: tokens, and the names and origins under which the node may be called."""

import pytest
from aiohttp import WSServerHandshakeError

from shared.api import auth
from shared.errors import Forbidden
from tests.api.served import Served

ALLOWED = auth.LOOPBACK | {"board.test"}


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (None, "no-token"),
        ("", "no-token"),
        ("Bearer", "no-token"),
        ("Bearer ", "no-token"),
        ("Bearer ada", "no-token"),
        ("Bearer ada-token2", "no-token"),
        ("Bearer \u00e4", "no-token"),
        ("Basic ada-token", "no-token"),
    ],
)
async def test_without_a_known_token_it_is_401(hub: Served, header: str | None, word: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    for method, path in (
        ("GET", "/api/equipment"),
        ("POST", "/api/tasks"),
        ("GET", "/api/node"),
        ("GET", "/metrics"),
        ("GET", "/api/nothing"),
    ):
        answered = await hub.call(method, path, actor=None, headers=headers)
        assert answered.status == 401
        assert answered.json["type"].endswith(word)
        assert answered.headers["WWW-Authenticate"] == "Bearer"


async def test_the_scheme_is_case_insensitive_and_the_name_is_the_actor(hub: Served) -> None:
    headers = {"Authorization": "bEARER bo-token"}
    answered = await hub.call(
        "POST", "/api/tasks", {"command": "echo"}, actor=None, headers=headers
    )
    assert answered.status == 201
    assert answered.json["requester"] == "bo"


@pytest.mark.parametrize(
    "path",
    ["/", "/docs", "/board/app.js", "/service-worker.js", "/api/openapi.json", "/healthz"],
)
async def test_what_needs_no_token(hub: Served, path: str) -> None:
    assert (await hub.call("GET", path, actor=None)).status == 200


HOSTS = [
    ("127.0.0.1", True),
    ("127.0.0.1:8470", True),
    ("localhost:8470", True),
    ("LOCALHOST:8470", True),
    ("[::1]:8470", True),
    ("board.test:8470", True),
    ("evil.test", False),
    ("evil.test:8470", False),
    ("localhost.evil.test", False),
    ("127.0.0.1.evil.test", False),
    ("localhost@evil.test", False),
    ("evil.test/localhost", False),
    ("", False),
    ("localhost:port", False),
    ("[::1", False),
]


@pytest.mark.parametrize(("host", "is_ours"), HOSTS)
async def test_only_this_nodes_names_may_be_called(hub: Served, host: str, is_ours: bool) -> None:
    answered = await hub.call("GET", "/api/node", headers={"Host": host})
    assert answered.status == (200 if is_ours else 403)
    if not is_ours:
        assert answered.json["type"] == "urn:skerry:problem:forbidden"
    answered = await hub.call("GET", "/", actor=None, headers={"Host": host})
    assert answered.status == (200 if is_ours else 403)


ORIGINS = [
    (None, True),
    ("http://localhost:8470", True),
    ("http://127.0.0.1:8470", True),
    ("http://board.test:8470", True),
    ("http://[::1]:8470", True),
    ("https://localhost:8470", True),
    ("http://localhost:3000", False),
    ("http://localhost", False),
    ("http://evil.test:8470", False),
    ("http://evil.test", False),
    ("null", False),
    ("", False),
    ("file://", False),
    ("http://localhost:8470@evil.test", False),
    ("http://evil.test/localhost:8470", False),
]


@pytest.mark.parametrize(("origin", "is_ours"), ORIGINS)
async def test_only_this_nodes_pages_may_call(
    hub: Served, origin: str | None, is_ours: bool
) -> None:
    headers = {"Host": "localhost:8470"}
    if origin is not None:
        headers["Origin"] = origin
    answered = await hub.call("GET", "/api/node", headers=headers)
    assert answered.status == (200 if is_ours else 403)


@pytest.mark.parametrize(("origin", "is_ours"), ORIGINS[1:])
async def test_a_websocket_is_guarded_alike(hub: Served, origin: str, is_ours: bool) -> None:
    url = f"{hub.url}/api/live"
    headers = {"Host": "localhost:8470", "Origin": origin}
    if is_ours:
        async with hub.client.ws_connect(url, headers=headers) as socket:
            await socket.send_json({"subscribe": ["equipment"], "token": "ada-token"})
            assert (await socket.receive_json(timeout=5))["type"] == "subscribed"
        return
    with pytest.raises(WSServerHandshakeError) as refused:
        await hub.client.ws_connect(url, headers=headers)
    assert refused.value.status == 403


def test_no_host_at_all_is_refused() -> None:
    with pytest.raises(Forbidden):
        auth.check_origin(None, None, ALLOWED)


async def test_security_headers_are_on_every_answer(hub: Served) -> None:
    for path in ("/", "/api/node", "/nothing", "/board/app.js"):
        headers = (await hub.call("GET", path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
            "style-src 'self' 'unsafe-inline'"
        )
    assert (await hub.call("GET", "/api/node")).headers["Cache-Control"] == "no-store"
