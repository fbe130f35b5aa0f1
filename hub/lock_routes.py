"""Locks that devices share: who has them, and a person's word that one is free."""

from collections.abc import Callable, Set
from functools import partial

import msgspec

from hub import permits
from hub.permits import LockRow
from shared.api import body as bodies
from shared.api import idempotency
from shared.api.pages import Page
from shared.api.route import Answer, Call, Route, json
from shared.api.sites import choose
from shared.api.tasks import Why
from shared.core import instants
from shared.core.ids import Name
from shared.core.task_view import ClaimView
from shared.store import changes
from shared.store.transaction import Reading, Transaction

Connected = Callable[[], Set[str]]


class LockView(msgspec.Struct, frozen=True):
    """A lock that is held.

    Attributes:
        name: Of the lock.
        site: Its site.
        task: Who holds it.
        claim: The attempt of that task.
        device: Where it runs.
        since: When it was granted.
        suspect: Nobody hears the device; the lock stays held until it or a person speaks.
    """

    name: str
    site: str
    task: str
    claim: ClaimView
    device: str
    since: str
    suspect: bool


class LockQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of the list: there are no more locks than a site has elevators, so no pages."""

    site: Name | None = None


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of a release by a person.

    Attributes:
        reason: How they know that nobody uses it.
        site: Needed only where the caller reaches several.
    """

    reason: Why
    site: Name | None = None


def routes(connected: Connected, freed: Callable[[], None]) -> tuple[Route, ...]:
    """Return the routes.

    Args:
        connected: Devices whose session is open; any thread may call it.
        freed: Called once a person has freed a lock.
    """
    return (
        Route(
            method="GET",
            path="/api/locks",
            handler=partial(list_all, connected=connected),
            summary="Locks that are held, by whom and since when",
            query=LockQuery,
            answer=Page[LockView],
            headers=("Skerry-Position",),
        ),
        Route(
            method="POST",
            path="/api/locks/{id}/release",
            handler=partial(release, freed=freed),
            summary="Free a lock that nobody uses any more",
            body=Release,
            status=204,
        ),
    )


async def list_all(call: Call, connected: Connected) -> Answer:
    """Return the locks that are held."""
    asked = bodies.query(call.request, LockQuery)

    def page(reading: Reading) -> Answer:
        here = connected()
        rows = [row for row in permits.rows(reading) if asked.site in (None, row.site)]
        items = [_view(row, here) for row in rows]
        position = str(changes.position(reading))
        return json(Page(items, None), headers={"Skerry-Position": position})

    return await call.context.replica.read(page)


async def release(call: Call, freed: Callable[[], None]) -> Answer:
    """Free a lock."""
    asked = await bodies.read(call.request, Release)
    site = choose(call.context, asked.site)

    def change(tx: Transaction) -> Answer:
        permits.release(tx, site, call.id, reason=asked.reason, actor=call.actor)
        return Answer(204)

    answer = await idempotency.write(call, change)
    freed()
    return answer


def _view(row: LockRow, here: Set[str]) -> LockView:
    claim = row.claim
    return LockView(
        name=row.name,
        site=row.site,
        task=row.task,
        claim=ClaimView(claim.epoch, claim.n, claim.attempt),
        device=row.device,
        since=instants.text(row.granted_ms),
        suspect=row.device not in here,
    )
