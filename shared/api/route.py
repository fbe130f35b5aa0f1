"""Routes: one table that the server, the OpenAPI description and the tests all read."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from shared.api.context import NodeContext


class Answer(msgspec.Struct, frozen=True):
    """A whole answer: what a route gives, and what is kept for an ``Idempotency-Key``."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = {}
    content_type: str = "application/json"


@dataclass(frozen=True)
class Call:
    """One request, authenticated, on its way through a route.

    Attributes:
        request: As aiohttp has it.
        context: The node.
        actor: Who asks: the name of the token, empty on routes that need none.
    """

    request: web.Request
    context: NodeContext
    actor: str

    @property
    def id(self) -> str:
        """The ``{id}`` of the path."""
        return self.request.match_info["id"]


WEBSOCKET = 101  # status of a success that goes on as a WebSocket

Handler = Callable[[Call], Awaitable[Answer | web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Route:
    """A path and verb with all that its description needs.

    Attributes:
        method: HTTP verb.
        path: Template, ``/api/equipment/{id}``; aiohttp's ``{id:regex}`` is allowed.
        handler: Carries it out.
        summary: One line for ``/docs``.
        status: Of a success.
        known: Description of a 200 beside it, that nothing had to be done; None: there is none.
        body: Struct of the request's JSON, None: no body is read.
        body_type: Content type of a body that is no JSON, None: there is none.
        body_required: Whether an empty body is an error.
        query: Struct of the query parameters, None: none are taken.
        answer: Type of the answer's JSON, None: no JSON.
        answer_type: Content type of a success.
        headers: Names of headers that a success carries.
        is_open: No token needed.
        takes_password: The token may be given as the password of HTTP Basic, too.
        is_conditional: Takes ``If-Match``.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    status: int = 200
    known: str | None = None
    body: type[msgspec.Struct] | None = None
    body_type: str | None = None
    body_required: bool = True
    query: type[msgspec.Struct] | None = None
    answer: Any = None
    answer_type: str = "application/json"
    headers: tuple[str, ...] = ()
    is_open: bool = False
    takes_password: bool = False
    is_conditional: bool = False

    @property
    def is_readable(self) -> bool:
        """Whether ``HEAD`` makes sense too."""
        return self.method == "GET" and self.status != WEBSOCKET

    @property
    def is_write(self) -> bool:
        """Whether it takes an ``Idempotency-Key``."""
        return self.method != "GET"


_encode = msgspec.json.Encoder().encode


def json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    """Return a value as a JSON answer."""
    return Answer(status, _encode(value), headers or {})


def record(
    value: Any, etag: str, status: int = 200, headers: dict[str, str] | None = None
) -> Answer:
    """Return a single record with its ETag."""
    return Answer(status, _encode(value), {"ETag": f'"{etag}"', **(headers or {})})
