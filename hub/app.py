"""The hub: one replica for all its sites, the API, the devices' gateway and the sitter."""

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from aiohttp import web

from hub import (
    api,
    asking,
    booking_routes,
    calendar_routes,
    fleet,
    lock_routes,
    outbox,
    reactions,
    resource_routes,
    schedules,
    task_routes,
    webhooks,
)
from hub.booking_keeper import BookingKeeper
from hub.courier import Courier
from hub.explain import HubExplain
from hub.gateway import Gateway
from hub.granter import Granter
from hub.retry import retry
from hub.settings import Dispatch, Settings, secret_of
from hub.sitter import Sitter
from hub.timekeeper import Timekeeper
from shared import system, tokens
from shared.api import tasks
from shared.api.app import make_app
from shared.api.context import NodeContext
from shared.replica import Replica, open_replica
from shared.serving import serve
from shared.settings import parse_listen
from shared.store import judge
from shared.store.store import Identity
from shared.version import VERSION

HUB = "hub"
Loops = Mapping[str, Callable[[], Coroutine[Any, Any, None]]]  # by name

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Run the hub until ``stop`` is set.

    Args:
        settings: Checked.
        stop: Set by a signal.
        ready: Called with the URL once the API answers.

    Raises:
        StoreError: The data folder cannot be used; nothing was started.
    """
    folder = Path(settings.data)
    chance = system.chance()
    async with open_replica(
        folder,
        Identity(HUB, HUB, settings.sites, system.machine_id()),
        now_ms=system.now_ms,
        trust=system.trust,
        chance=chance,
    ) as replica:
        if replica.notice is not None:
            log.warning("%s: this hub goes on with a new epoch and new logs", replica.notice)
        for site in settings.sites:
            # What an older version parked, this one may understand.
            await replica.write(partial(judge.again, site=site, react=reactions.react))
        sitter, granter, gateway = _dispatch(replica, settings.dispatch)
        context = NodeContext(
            replica=replica,
            role=HUB,
            id=HUB,
            sites=settings.sites,
            version=VERSION,
            tokens=tokens.gather(folder, settings.api.tokens, os.environ),
            hosts=frozenset(),
            now_ms=system.now_ms,
            new_id=system.IdMint(chance),
            explain=HubExplain(
                lambda: sitter.devices,
                lambda task: sitter.waits(task) or granter.waits(task),
                gateway.told,
            ),
            away=lambda reading, device: fleet.absence(reading, device, gateway.connected()),
            retry=retry,
            ask=asking.answer(system.now_ms),
            types=fleet.types,
            samples=lambda: api.samples(gateway.connected),
        )
        app = make_app(
            context,
            routes=(
                *api.routes(gateway.connected),
                *schedules.ROUTES,
                *resource_routes.ROUTES,
                *booking_routes.ROUTES,
                *calendar_routes.ROUTES,
                *webhooks.routes(settings.webhooks),
                *task_routes.routes(lambda: sitter.devices),
                *lock_routes.routes(gateway.connected, granter.poke),
                api.sync(gateway.handle),
            ),
            topics=api.topics(gateway.connected),
        )
        loops: Loops = {
            "sitter": sitter.run,
            "granter": granter.run,
            "timekeeper": Timekeeper(replica, system.now_ms).run,
            "booking-keeper": BookingKeeper(replica, system.now_ms).run,
            **await _couriers(settings, context, chance),
        }
        await _serve(settings, app, gateway, loops, stop, ready)


def _dispatch(replica: Replica, dispatch: Dispatch) -> tuple[Sitter, Granter, Gateway]:
    def came_or_went() -> None:
        sitter.poke()
        granter.poke()

    gateway = Gateway(
        replica,
        on_connected=came_or_went,
        on_caught_up=lambda device, incarnation: sitter.device_returned(device, incarnation),
        react=reactions.react,
    )
    sitter = Sitter(
        replica,
        gateway.connected,
        system.now_ms,
        system.boot_ms,
        patience=dispatch,
        battery=dispatch.battery,
        unready=gateway.unready,
    )
    granter = Granter(replica, gateway.connected)
    return sitter, granter, gateway


async def _couriers(settings: Settings, context: NodeContext, chance: Random) -> Loops:
    secrets = {webhook.id: secret_of(webhook, os.environ) for webhook in settings.webhooks}
    replica = context.replica
    forgotten = await replica.write(partial(outbox.open_all, webhooks=settings.webhooks))
    for webhook_id, pending in forgotten.items():
        log.warning("webhook %s is not set any more; %s events are dropped", webhook_id, pending)
    return {
        f"webhook-{webhook.id}": Courier(
            replica,
            webhook,
            secret=secrets[webhook.id],
            render=lambda reading, task: tasks.render(reading, context, task),
            now_ms=context.now_ms,
            chance=chance,
        ).run
        for webhook in settings.webhooks
    }


async def _serve(
    settings: Settings,
    app: web.Application,
    gateway: Gateway,
    loops: Loops,
    stop: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    listen = parse_listen(settings.api.listen, "$.api.listen")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(loop(), name=name) for name, loop in loops.items()]
        async with serve(app, listen) as url:
            ready(url)
            await stop.wait()
            await gateway.close()
        for task in reversed(running):
            task.cancel()
