"""Handler ``http``: one request to a server that an operator allowed.

Every request carries the task's ``Idempotency-Key``, so that a server which knows the header does a
request that is tried again only once. A redirect is followed only to what is allowed too.
"""

import asyncio
import email.utils
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Literal

import aiohttp
import msgspec
from multidict import CIMultiDictProxy
from yarl import URL

from agent.handlers.handler import HandlerFailed, Output, Run, read_payload
from agent.handlers.target import (
    HeaderName,
    HeaderValue,
    Target,
    find_target,
    reason_against,
)
from shared import tls
from shared.core.kinds.task_bodies import Failure
from shared.errors import Invalid

BODY_BYTES_MAX = 256 * 1024
REDIRECTS_MAX = 5
RETRY_AFTER_MAX_S = 3600.0  # a server's typing error must not put a task off for years
SPARE_S = 15.0  # beyond our own timeout, so that it is this handler that says what took so long

SHOWN = ("Content-Type", "ETag", "Location", "Retry-After")
"""Headers of an answer that are kept: what who asked needs. A cookie must not be journalled."""

FRAMING = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade"}
)
KEY = "Idempotency-Key"
_CREDENTIALS = ("Authorization", "Cookie")
_BUSY = frozenset({408, 425, 429})  # client errors that say: not now

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
StatusCode = Annotated[int, msgspec.Meta(ge=200, le=599)]


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of an ``http`` task.

    Attributes:
        method: In capitals.
        url: ``http`` or ``https``.
        headers: Beside those that the handler sends.
        body: Text is sent as it is, any other JSON as JSON; None: no body.
        expect: Statuses that are a success; None: 200 to 299.
    """

    method: Method
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=8000)]
    headers: dict[HeaderName, HeaderValue] = {}
    body: Any = None
    expect: Annotated[list[StatusCode], msgspec.Meta(min_length=1, max_length=100)] | None = None


class Http:
    """Makes requests to servers that an operator allowed.

    Attributes:
        timeout_s: How long a run may take if its task does not say.
    """

    type = "http"

    def __init__(
        self,
        *,
        allow: Sequence[Target],
        timeout_s: float,
        connect_timeout_s: float,
        body_bytes_max: int,
    ) -> None:
        self.timeout_s = timeout_s + SPARE_S
        self._allow = tuple(allow)
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._body_bytes_max = body_bytes_max

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it is a request that can be made anywhere."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Make the request; a status that is expected is success."""
        payload = _read(run.payload)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._connect_timeout_s)
        what = f"{payload.method} {payload.url}"
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                aiohttp.ClientSession(
                    timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
            ):
                return await self._request(session, payload, run)
        except TimeoutError as error:
            raise _retryable("timed-out", f"{what} took too long") from error
        except (aiohttp.ClientError, OSError) as error:
            text = str(error) or type(error).__name__
            raise _retryable("unreachable", f"{what}: {text}") from error

    async def _request(self, session: aiohttp.ClientSession, payload: Payload, run: Run) -> Output:
        url, method, body = URL(payload.url), payload.method, _body(payload)
        headers = dict(payload.headers)
        for _ in range(REDIRECTS_MAX + 1):
            sent = self._headers(url, headers, run)
            async with session.request(
                method, url, headers=sent, data=body, allow_redirects=False, ssl=tls.of(url)
            ) as answer:
                following = None if _is_expected(payload, answer.status) else _redirect(answer)
                if following is None:
                    return await self._judge(payload, answer)
            if answer.status == HTTPStatus.SEE_OTHER and method != "HEAD":
                method, body = "GET", None
                headers = _without(headers, ("Content-Type",))
            if following.origin() != url.origin():  # they were meant for the first server
                headers = _without(headers, _CREDENTIALS)
            url = following
        raise HandlerFailed(
            Failure("redirect", f"{payload.url}: over {REDIRECTS_MAX} redirects", permanent=True)
        )

    def _headers(self, url: URL, asked: Mapping[str, str], run: Run) -> dict[str, str]:
        """Return the headers for a hop.

        Raises:
            HandlerFailed: It is not allowed.
        """
        reason = reason_against(url)
        target = None if reason else find_target(self._allow, url)
        if target is None:
            reason = reason or "is not in [handlers.http] allow of this device"
            raise _not_allowed(f"{url} {reason}")
        own = {**_without(target.headers, (KEY,)), KEY: run.idempotency_key}
        return {**_without(asked, own), **own}

    async def _judge(self, payload: Payload, answer: aiohttp.ClientResponse) -> Output:
        body, truncated = await self._kept(answer)
        output = {
            "status": answer.status,
            "headers": {name: answer.headers[name] for name in SHOWN if name in answer.headers},
            "body": body,
            "truncated": truncated,
        }
        if _is_expected(payload, answer.status):
            return output
        message = f"{payload.method} {answer.url} answered {answer.status} {answer.reason or ''}"
        is_permanent = answer.status < 500 and answer.status not in _BUSY
        raise HandlerFailed(
            Failure("http-status", message.rstrip(), permanent=is_permanent),
            output,
            retry_after_s=None if is_permanent else retry_after_s(answer.headers),
        )

    async def _kept(self, answer: aiohttp.ClientResponse) -> tuple[str, bool]:
        """Return the first bytes of the body as text, and whether there were more.

        The rest is not read: the connection is closed instead.
        """
        kept = bytearray()
        async for chunk in answer.content.iter_any():
            kept += chunk
            if len(kept) > self._body_bytes_max:
                answer.close()
                break
        text = bytes(kept[: self._body_bytes_max])
        return _decoded(text, answer.charset), len(kept) > self._body_bytes_max


def retry_after_s(headers: CIMultiDictProxy[str]) -> float | None:
    """Return how long the server asks to wait, seconds, at most RETRY_AFTER_MAX_S.

    A date counts from the server's own ``Date``: our clock may be wrong.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), RETRY_AFTER_MAX_S)
    try:
        at = email.utils.parsedate_to_datetime(text)
        now = email.utils.parsedate_to_datetime(headers.get("Date", ""))
        wait_s = (at - now).total_seconds()
    except (TypeError, ValueError):
        return None
    return min(max(wait_s, 0.0), RETRY_AFTER_MAX_S)


def _is_expected(payload: Payload, status: int) -> bool:
    if payload.expect is None:
        return 200 <= status <= 299
    return status in payload.expect


def _redirect(answer: aiohttp.ClientResponse) -> URL | None:
    """Return where the answer leads, if that can be followed without changing what was asked."""
    location = answer.headers.get("Location")
    if location is None:
        return None
    may_follow = answer.status in (303, 307, 308) or (
        answer.status in (301, 302) and answer.method in ("GET", "HEAD")
    )
    if not may_follow:
        return None
    try:
        return answer.url.join(URL(location)).with_fragment(None)
    except ValueError:
        return None


def _body(payload: Payload) -> aiohttp.Payload | None:
    if payload.body is None:
        return None
    if isinstance(payload.body, str):
        return aiohttp.StringPayload(payload.body)
    return aiohttp.BytesPayload(msgspec.json.encode(payload.body), content_type="application/json")


def _decoded(text: bytes, charset: str | None) -> str:
    try:
        return text.decode(charset or "utf-8", errors="replace")
    except LookupError:  # a charset that nobody knows
        return text.decode(errors="replace")


def _without(
    headers: Mapping[str, str], names: Sequence[str] | Mapping[str, str]
) -> dict[str, str]:
    dropped = {name.lower() for name in names}
    return {name: value for name, value in headers.items() if name.lower() not in dropped}


def _retryable(type_: str, message: str) -> HandlerFailed:
    return HandlerFailed(Failure(type_, message))


def _not_allowed(message: str) -> HandlerFailed:
    return HandlerFailed(Failure("not-allowed", message, permanent=True))


def _read(payload: Mapping[str, Any]) -> Payload:
    decoded = read_payload(payload, Payload, "http")
    try:
        URL(decoded.url)
    except ValueError as error:
        text = f"it is no URL ({error})"
        raise Invalid(
            f"payload of an http task: url: {text}", (("$.payload.url", text),)
        ) from error
    wrong = [name for name in decoded.headers if name.lower() in {*FRAMING, KEY.lower()}]
    if wrong:
        text = f"the header {wrong[0]} is set by the agent"
        raise Invalid(f"payload of an http task: {text}", (("$.payload.headers", text),))
    size = len(msgspec.json.encode(decoded.body))
    if size > BODY_BYTES_MAX:
        text = f"{size} bytes, at most {BODY_BYTES_MAX} are sent"
        raise Invalid(f"payload of an http task: body: {text}", (("$.payload.body", text),))
    return decoded
