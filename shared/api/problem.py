"""Errors to RFC 9457 ``application/problem+json``, both deliberate and not, in one place."""

import logging
import uuid
from typing import NoReturn

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from shared.api.booking_view import InTheWay, OccurrenceView, SlotView
from shared.core.booking.reason import Reason
from shared.errors import (
    Busy,
    Malformed,
    NotFound,
    NoToken,
    Rejected,
    StoreClosed,
    StoreFull,
    TooLarge,
    WrongMethod,
)

CONTENT_TYPE = "application/problem+json"
URN = "urn:skerry:problem:"
STORE_FULL_RETRY_S = 60  # somebody has to free space first

log = logging.getLogger(__name__)


class Place(msgspec.Struct, frozen=True):
    """Where a request is wrong, and why."""

    path: str
    message: str


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every error.

    Attributes:
        type: ``urn:skerry:problem:`` and a word that never changes.
        title: The word, for people.
        status: As in the status line.
        detail: What is wrong with this request and what to do next.
        errors: The places that are wrong.
        instance: Of an internal error: the id under which the node's log has it.
        reasons: Of a refused booking: every rule that says no.
        conflicts: Of a refused booking: what is in the way.
        alternatives: Of a refused booking: what would have done at that moment.
        occurrences: Of a series of which nothing was booked.
        bookings: Of a resource that cannot go: how many bookings it has ahead.
    """

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[Place, ...] = ()
    instance: str | None = None
    reasons: tuple[Reason, ...] = ()
    conflicts: tuple[InTheWay, ...] = ()
    alternatives: tuple[SlotView, ...] = ()
    bookings: int | None = None
    occurrences: tuple[OccurrenceView, ...] = ()


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into a problem; nobody ever sees a traceback."""
    try:
        return await handler(request)
    except Exception as error:
        if isinstance(error, web.HTTPException) and error.status < 400:
            raise
        answer = _of(error, request)
    if request.content.exception() is not None:  # what follows the body cannot be found any more
        answer.force_close()
    return answer


def _of(error: Exception, request: web.Request) -> web.Response:
    match error:
        case Rejected():
            return of_rejected(error)
        case StoreFull() | StoreClosed():
            return of_store(error)
        case web.HTTPException():
            return of_http(error, request)
        case _:  # one bad request never stops the node (promise 6)
            return of_unexpected(error, request)


def of_rejected(error: Rejected) -> web.Response:
    """Return the problem of a request that was refused."""
    problem = Problem(
        type=URN + error.problem,
        title=error.title,
        status=error.status,
        detail=error.detail,
        errors=tuple(Place(path, message) for path, message in error.places),
        **error.facts,
    )
    headers = {}
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, NoToken):
        headers["WWW-Authenticate"] = error.challenge
    return response(problem, headers)


def of_store(error: StoreFull | StoreClosed) -> web.Response:
    """Return the problem of a node that cannot write now."""
    full = isinstance(error, StoreFull)
    problem = Problem(
        type=URN + ("store-full" if full else "closing"),
        title="Store full" if full else "Node is closing",
        status=503,
        detail=str(error),
    )
    return response(problem, {"Retry-After": str(STORE_FULL_RETRY_S if full else 1)})


def of_http(error: web.HTTPException, request: web.Request) -> web.Response:
    """Return the problem of what aiohttp itself refuses: path, verb, size."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        detail = f"{request.path} takes {allowed}, not {request.method}"
        refused = of_rejected(WrongMethod(detail))
        refused.headers["Allow"] = allowed
        return refused
    if isinstance(error, web.HTTPNotFound):
        return of_rejected(NotFound(f"nothing is at {request.path} on this node"))
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        return of_rejected(TooLarge("the body is over 1 MiB"))
    if error.status < 500:
        return of_rejected(Malformed(error.text or error.reason))
    return of_unexpected(error, request)


def of_unanswered(status: int) -> web.Response:
    """Return the problem of a request that failed outside of every handler; the log has it."""
    detail = "a fault of this node; its log has the cause"
    return response(Problem(f"{URN}internal", "Internal error", status, detail), {})


def of_unexpected(error: Exception, request: web.Request) -> web.Response:
    """Log an exception under a new id; the answer carries the id alone."""
    instance = f"urn:uuid:{uuid.uuid4()}"
    log.error("%s %s failed, %s", request.method, request.path, instance, exc_info=error)
    return response(
        Problem(
            type=URN + "internal",
            title="Internal error",
            status=500,
            detail="a fault of this node; its log has the cause under the id in instance",
            instance=instance,
        ),
        {},
    )


def response(problem: Problem, headers: dict[str, str]) -> web.Response:
    """Return a problem as a response."""
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem),
        headers=headers,
        content_type=CONTENT_TYPE,
    )


def not_found(kind: str, subject: str) -> NoReturn:
    """Say that this node does not know a record.

    Raises:
        NotFound: Always.
    """
    raise NotFound(f"this node knows no {kind} {subject[:100]!r}")
