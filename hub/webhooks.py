"""Routes of webhooks: how they fare, and trying again what was given up."""

from collections.abc import Sequence
from functools import partial

import msgspec

from hub import courier, outbox
from hub.settings import Webhook
from shared.api import body as bodies
from shared.api import idempotency
from shared.api.pages import Page, PageQuery, read_cursor, write_cursor
from shared.api.problem import not_found
from shared.api.route import Answer, Call, Route, json
from shared.core import instants
from shared.store.transaction import Reading, Transaction

STATE = """SELECT dropped, last_success_at, last_error, last_error_at,
    (SELECT count(*) FROM outbox o WHERE o.webhook = w.id AND o.failed_at IS NULL),
    (SELECT count(*) FROM outbox o WHERE o.webhook = w.id AND o.failed_at IS NOT NULL)
    FROM webhooks w WHERE w.id = $1"""


class WebhookView(msgspec.Struct, frozen=True):
    """A webhook as the API shows it.

    Attributes:
        pending: Events that are still to be told.
        failed: Events that were given up, and are kept.
        dropped: Events that it will never be told.
    """

    id: str
    url: str
    on: tuple[str, ...]
    types: tuple[str, ...]
    pending: int
    failed: int
    dropped: int
    last_success_at: str | None
    last_error: str | None
    last_error_at: str | None


def routes(webhooks: Sequence[Webhook]) -> tuple[Route, ...]:
    """Return the routes of the webhooks that are set."""
    known = {webhook.id: webhook for webhook in sorted(webhooks, key=lambda w: w.id)}

    async def list_all(call: Call) -> Answer:
        asked = bodies.query(call.request, PageQuery)
        (after,) = read_cursor(asked.cursor, tuple[str]) if asked.cursor else ("",)
        rest = [webhook for webhook_id, webhook in known.items() if webhook_id > after]
        some = rest[: asked.limit]
        items = await call.context.replica.read(lambda r: [_view(r, webhook) for webhook in some])
        following = write_cursor(some[-1].id) if len(rest) > asked.limit else None
        return json(Page(items, following))

    async def retry(call: Call) -> Answer:
        webhook = known.get(call.id)
        if webhook is None:
            not_found("webhook", call.id)
        return await idempotency.write(call, partial(_retry, webhook=webhook))

    return (
        Route(
            method="GET",
            path="/api/webhooks",
            handler=list_all,
            summary="Webhooks of the settings, and how they fare",
            query=PageQuery,
            answer=Page[WebhookView],
        ),
        Route(
            method="POST",
            path="/api/webhooks/{id}/retry",
            handler=retry,
            summary="Try again what was given up",
            answer=WebhookView,
        ),
    )


def _retry(tx: Transaction, webhook: Webhook) -> Answer:
    outbox.requeue(tx, webhook.id)
    tx.announce(courier.KIND, webhook.id)
    return json(_view(tx, webhook))


def _view(reading: Reading, webhook: Webhook) -> WebhookView:
    ((dropped, success, error, error_at, pending, failed),) = reading.query(STATE, webhook.id)
    return WebhookView(
        id=webhook.id,
        url=webhook.url,
        on=tuple(webhook.on),
        types=webhook.types,
        pending=pending,
        failed=failed,
        dropped=dropped,
        last_success_at=instants.text_or_none(success),
        last_error=error,
        last_error_at=instants.text_or_none(error_at),
    )
