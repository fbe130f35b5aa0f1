"""Who may call: named tokens, and the names and origins under which the node may be called.

The loopback interface is not trust: any page in a browser on this machine can reach it. Such a
page cannot forge ``Host`` (DNS rebinding shows another name there) or ``Origin`` (another site),
so both must name this node; a WebSocket is guarded alike, since no CORS rule stops it.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from shared.errors import Forbidden, NoToken

BASIC = 'Basic realm="Skerry", charset="UTF-8"'
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def actor_of(token: str, tokens: Mapping[str, str]) -> str | None:
    """Return whose token it is, or None; takes as long for a wrong token as for a right one."""
    given = token.encode(errors="surrogateescape")
    found = None
    for actor, known in tokens.items():
        if hmac.compare_digest(given, known.encode()):
            found = actor
    return found


def bearer(request: web.Request) -> str | None:
    """Return the token of the ``Authorization`` header, or None."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def password(request: web.Request) -> str | None:
    """Return the password of the ``Authorization`` header, whatever the user's name; or None."""
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, colon, word = base64.b64decode(given.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return word if colon else None


def require(
    request: web.Request, tokens: Mapping[str, str], *, takes_password: bool = False
) -> str:
    """Return the actor of a request.

    Args:
        request: The request.
        tokens: Token by actor.
        takes_password: Whether the token may come as the password of HTTP Basic: calendar programs
            cannot send another. Elsewhere it may not: a browser would send it along unasked.

    Raises:
        NoToken: None given, or one that this node does not know.
    """
    challenge = BASIC if takes_password else "Bearer"
    token = bearer(request)
    if token is None and takes_password:
        token = password(request)
    if token is None:
        how = ", or the token as the password of HTTP Basic" if takes_password else ""
        message = f"send Authorization: Bearer and a token of this node{how}"
        raise NoToken(message, challenge)
    actor = actor_of(token, tokens)
    if actor is None:
        raise NoToken("this node does not know the token", challenge)
    return actor


def guard(hosts: frozenset[str]) -> Middleware:
    """Return the middleware that lets in only requests made to this node, from its own pages."""
    allowed = LOOPBACK | {host.lower() for host in hosts}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_origin(request.headers.get("Host"), request.headers.get("Origin"), allowed)
        return await handler(request)

    return middleware


def check_origin(host: str | None, origin: str | None, allowed: frozenset[str]) -> None:
    """Refuse what was sent to another name, or by another site's page.

    Args:
        host: ``Host`` header.
        origin: ``Origin`` header; absent: not sent by a browser's page.
        allowed: Names of this node, lower case.

    Raises:
        Forbidden: Another name, or an origin that is not this node at the port it was called on.
    """
    name, port = _address(f"//{host or ''}")
    if name not in allowed:
        raise Forbidden(f"this node is not called {(host or 'nothing')[:100]!r}")
    if origin is None:
        return
    try:
        is_http = urlsplit(origin).scheme in ("http", "https")
    except ValueError:
        is_http = False
    # Another port is another program: a page that it served is not this node's board.
    if not is_http or _address(origin)[0] not in allowed or _address(origin)[1] != port:
        raise Forbidden(f"pages of {origin[:100]!r} may not call this node")


@lru_cache(maxsize=256)  # a caller names the same node each time
def _address(url: str) -> tuple[str | None, int | None]:
    """Return host and port; None for what is no address."""
    try:
        parts = urlsplit(url)
        plain = not parts.username and parts.path in ("", "/")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return (parts.hostname, port) if plain else (None, None)
    except ValueError:
        return None, None
