"""The HTTP application of a node: its table of routes behind guard, token and problem."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from functools import cache

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from shared.api import (
    auth,
    availability,
    body,
    bookings,
    conflicts,
    equipment,
    live,
    metrics,
    node,
    openapi,
    problem,
    queues,
    resources,
    static,
    task_batch,
    task_metrics,
    tasks,
)
from shared.api.context import NodeContext, Sample, Topic
from shared.api.live_feed import LiveFeed
from shared.api.metrics import RequestCounter
from shared.api.route import Answer, Call, Route, json
from shared.errors import NotFound

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; "
        "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def make_app(
    context: NodeContext, routes: Sequence[Route] = (), topics: Sequence[Topic] = ()
) -> web.Application:
    """Return the application of a node.

    Args:
        context: The node.
        routes: What only this end serves (``hub/api.py``, ``agent/api.py``).
        topics: Live topics that only this end has.
    """
    feed = LiveFeed(
        context.replica,
        (
            equipment.topic(context),
            tasks.topic(context),
            queues.TOPIC,
            conflicts.TOPIC,
            resources.TOPIC,
            bookings.TOPIC,
            *topics,
        ),
    )
    counter = RequestCounter()
    described = (
        *node.ROUTES,
        *equipment.ROUTES,
        *tasks.ROUTES,
        *task_batch.ROUTES,
        *task_metrics.ROUTES,
        *queues.ROUTES,
        *resources.ROUTES,
        *bookings.ROUTES,
        *availability.ROUTES,
        *conflicts.ROUTES,
        *live.routes(feed),
        _metrics(feed, counter),
        *routes,
    )
    application = web.Application(
        client_max_size=body.BYTES_MAX,
        middlewares=(
            _counting(counter),
            problem.middleware,
            auth.guard(context.hosts),
            _unknown_needs_token(context),
        ),
    )
    served = (*described, _openapi(described, context.version), *static.routes(static.files()))
    for route in served:
        methods = ("GET", "HEAD") if route.is_readable else (route.method,)
        for method in methods:
            application.router.add_route(method, route.path, _adapter(route, context))
    application.on_response_prepare.append(_secure)
    application.cleanup_ctx.append(_running(feed))
    application.on_shutdown.append(_closing(feed))
    return application


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of a route that takes none."""


def _adapter(route: Route, context: NodeContext) -> Handler:
    """Return aiohttp's handler of a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        actor = "" if route.is_open else _actor(route, request, context)
        if route.query is None and route.path.startswith("/api/"):
            # A filter where none is taken would be a silent lie about what the answer shows.
            body.query(request, NoQuery)
        answer = await route.handler(Call(request, context, actor))
        return response(answer) if isinstance(answer, Answer) else answer

    return handle


def _actor(route: Route, request: web.Request, context: NodeContext) -> str:
    return auth.require(request, context.tokens, takes_password=route.takes_password)


def response(answer: Answer) -> web.Response:
    """Return an answer as aiohttp sends it."""
    headers = {"Cache-Control": "no-store", **answer.headers}
    if answer.body:
        headers["Content-Type"] = answer.content_type
    return web.Response(status=answer.status, body=answer.body or None, headers=headers)


def _metrics(feed: LiveFeed, counter: RequestCounter) -> Route:
    async def answer(call: Call) -> Answer:
        own: Iterable[Sample] = (Sample("live_listeners", feed.listeners), *counter.samples())
        return await metrics.answer(call, own)

    return Route(
        method="GET",
        path="/metrics",
        handler=answer,
        summary="Numbers for Prometheus",
        answer_type="text/plain",
    )


def _openapi(described: Iterable[Route], version: str) -> Route:
    routes = tuple(described)

    @cache  # made when somebody asks: an agent that nobody asks starts faster and stays smaller
    def description() -> Answer:
        return json(openapi.describe(routes, version=version))

    async def answer(_call: Call) -> Answer:
        return description()

    return Route(
        method="GET",
        path="/api/openapi.json",
        handler=answer,
        summary="This description",
        is_open=True,
    )


def _counting(counter: RequestCounter) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        counter.count(request.method, answer.status)
        return answer

    return middleware


def _unknown_needs_token(context: NodeContext) -> Middleware:
    """Tell strangers nothing of which paths there are below /api; others, where to look."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        wrong = request.match_info.http_exception
        if wrong is not None and request.path.startswith("/api/"):
            auth.require(request, context.tokens)
            if isinstance(wrong, web.HTTPNotFound) and context.role == "agent":
                words = f"nothing is at {request.path} on this agent"
                raise NotFound(f"{words}; what only the hub decides is served by the hub")
        return await handler(request)

    return middleware


async def _secure(request: web.Request, answer: web.StreamResponse) -> None:
    answer.headers.update(SECURITY_HEADERS)


def _running(feed: LiveFeed) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(_application: web.Application) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(feed.run(), name="live-feed")
            yield
            running.cancel()

    return context


def _closing(feed: LiveFeed) -> Callable[[web.Application], Awaitable[None]]:
    async def close(_application: web.Application) -> None:
        feed.close()

    return close
