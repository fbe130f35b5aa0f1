"""The hub: one replica for all its sites, the API, the devices' gateway and the sitter."""

import asyncio
import logging
import os
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path

from aiohttp import web

from hub import api, lock_routes, task_routes
from hub.explain import HubExplain
from hub.gateway import Gateway
from hub.granter import Granter
from hub.retry import retry
from hub.settings import Dispatch, Settings
from hub.sitter import Sitter
from shared import system, tokens
from shared.api.app import make_app
from shared.api.context import NodeContext
from shared.replica import Replica, open_replica
from shared.serving import serve
from shared.settings import parse_listen
from shared.store import judge
from shared.store.store import Identity

HUB = "hub"

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
            await replica.write(partial(judge.again, site=site))
        sitter, granter, gateway = _dispatch(replica, settings.dispatch)
        context = NodeContext(
            replica=replica,
            role=HUB,
            id=HUB,
            sites=settings.sites,
            version=version("skerry"),
            tokens=tokens.gather(folder, settings.api.tokens, os.environ),
            hosts=frozenset(),
            now_ms=system.now_ms,
            new_id=system.IdMint(chance),
            explain=HubExplain(
                lambda: sitter.devices, lambda task: sitter.waits(task) or granter.waits(task)
            ),
            retry=retry,
            samples=lambda: api.samples(gateway.connected),
        )
        app = make_app(
            context,
            routes=(
                *api.routes(gateway.connected),
                *task_routes.routes(lambda: sitter.devices),
                *lock_routes.routes(gateway.connected, granter.poke),
                api.sync(gateway.handle),
            ),
            topics=api.topics(gateway.connected),
        )
        await _serve(settings, app, gateway, (sitter, granter), stop, ready)


def _dispatch(replica: Replica, dispatch: Dispatch) -> tuple[Sitter, Granter, Gateway]:
    def came_or_went() -> None:
        sitter.poke()
        granter.poke()

    gateway = Gateway(
        replica,
        on_connected=came_or_went,
        on_caught_up=lambda device, incarnation: sitter.device_returned(device, incarnation),
    )
    sitter = Sitter(
        replica,
        gateway.connected,
        system.now_ms,
        system.boot_ms,
        patience=dispatch,
        battery=dispatch.battery,
    )
    granter = Granter(replica, gateway.connected)
    return sitter, granter, gateway


async def _serve(
    settings: Settings,
    app: web.Application,
    gateway: Gateway,
    loops: tuple[Sitter, Granter],
    stop: asyncio.Event,
    ready: Callable[[str], None],
) -> None:
    listen = parse_listen(settings.api.listen, "$.api.listen")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(loop.run(), name=type(loop).__name__) for loop in loops]
        async with serve(app, listen) as url:
            ready(url)
            await stop.wait()
            await gateway.close()
        for task in reversed(running):
            task.cancel()
