"""The agent: one replica, and around it what this device has: tasks, drivers, an uplink, an API."""

import asyncio
import importlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from aiohttp import ClientSession

from agent import api, booking_routes, boot, handlers
from agent.checks import Checker
from agent.dispatcher import Dispatcher
from agent.equipment import Machines, Wired
from agent.settings import Settings
from agent.uplink import Uplink
from shared import system, tokens
from shared.api.app import make_app
from shared.api.context import NodeContext
from shared.errors import SettingsError
from shared.replica import Replica, open_replica
from shared.serving import serve
from shared.settings import parse_listen
from shared.store.store import Identity
from shared.sync.frame import WAITS_MAX, DeviceStatus, WaitNote
from shared.version import VERSION

LAST_WORD_S = 2.0  # for the hub to hear how the last runs ended
HUB_TOKEN = "SKERRY_HUB_TOKEN"  # noqa: S105 - the name of a variable

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, ready: Callable[[str], None]) -> None:
    """Run the agent until ``stop`` is set, then drain.

    Args:
        settings: Checked.
        stop: Set by a signal.
        ready: Called with the URL once the local API answers.

    Raises:
        StoreError: The data folder cannot be used; nothing was started.
    """
    folder = Path(settings.data)
    device = settings.device
    chance = system.chance()
    identity = Identity(
        "agent", device.id, (device.site,), device.machine_id or system.machine_id()
    )
    async with (
        open_replica(
            folder, identity, now_ms=system.now_ms, trust=system.trust, chance=chance
        ) as replica,
        ClientSession() as http,
    ):
        if replica.notice is not None:
            log.warning("%s: going on under a new incarnation", replica.notice)
        wired = _drivers(settings, chance)
        checker = Checker(settings.checks, http, system.boot_ms)
        dispatcher = _dispatcher(settings, folder, replica, chance, wired, checker)
        machines = Machines(replica, wired, site=device.site, boot_ms=system.boot_ms)
        uplink = _uplink(settings, folder, replica, dispatcher, chance)
        context = NodeContext(
            replica=replica,
            role="agent",
            id=device.id,
            sites=(device.site,),
            version=VERSION,
            tokens=tokens.gather(folder, settings.api.tokens, os.environ),
            hosts=frozenset(),
            now_ms=system.now_ms,
            new_id=system.IdMint(chance),
            explain=lambda task, status_of, now_ms: dispatcher.explain(
                task, status_of, now_ms, hub_is_here=uplink.is_connected
            ),
            is_stale=machines.is_stale,
            can_run=lambda spec: dispatcher.takes(spec, hub_is_here=uplink.is_connected),
            types=lambda _: [
                (device.site, type_) for type_ in (*dispatcher.types, *settings.queues)
            ],
            samples=lambda: api.samples(uplink),
        )
        listen = parse_listen(settings.api.listen, "$.api.listen")
        async with (
            asyncio.TaskGroup() as tasks,
            serve(
                make_app(context, routes=(*api.routes(uplink), *booking_routes.ROUTES)), listen
            ) as url,
        ):
            running = [
                tasks.create_task(uplink.run(), name="uplink"),
                tasks.create_task(machines.run(), name="drivers"),
                tasks.create_task(dispatcher.run(), name="dispatcher"),
            ]
            ready(url)
            await stop.wait()
            dispatcher.close()
            uplink.tell()  # or the hub goes on giving it what nobody there will start
            log.info("draining for at most %s s", settings.dispatcher.drain_s)
            await dispatcher.drain(settings.dispatcher.drain_s)
            await uplink.send_rest(LAST_WORD_S)
            for task in reversed(running):
                task.cancel()


def _dispatcher(
    settings: Settings,
    folder: Path,
    replica: Replica,
    chance: Random,
    wired: Sequence[Wired],
    checker: Checker,
) -> Dispatcher:
    return Dispatcher(
        replica,
        handlers.build(settings.handlers, [one.driver for one in wired]),
        folder=folder,
        boot=boot.mint(chance),
        concurrency=settings.dispatcher.concurrency,
        capabilities=settings.device.capabilities,
        now_ms=system.now_ms,
        boot_ms=system.boot_ms,
        chance=chance,
        aging_s=settings.dispatcher.aging_s,
        limits=settings.queues,
        checker=checker,
        has_hub=settings.hub is not None,
    )


def _drivers(settings: Settings, chance: Random) -> list[Wired]:
    """Build the drivers; the libraries of the wires are loaded only where one is configured."""
    if not settings.drivers:
        return []
    device = settings.device.id
    try:
        build = importlib.import_module("hardware.build").build_driver
        return [
            Wired(
                build(one, device=device, now_ms=system.now_ms, chance=chance),
                one.equipment,
                one.dwell_s,
            )
            for one in settings.drivers
        ]
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"$.drivers: {error.name} is missing; install skerry[hardware]"
        ) from error


def _uplink(
    settings: Settings, folder: Path, replica: Replica, dispatcher: Dispatcher, chance: Random
) -> Uplink:
    hub = settings.hub
    return Uplink(
        replica,
        folder=folder,
        site=settings.device.site,
        url=hub.url if hub else None,
        token=os.environ.get(HUB_TOKEN) or (hub.token if hub else None),
        retry_max_s=settings.sync.retry_max_s,
        now_ms=system.now_ms,
        boot_ms=system.boot_ms,
        chance=chance,
        status=lambda: DeviceStatus(
            backlog=0,
            clock=system.trust().value,
            version=VERSION,
            types=dispatcher.types,
            capabilities=settings.device.capabilities,
            zone=settings.device.zone,
            closing=dispatcher.is_closing,
            waits={
                task_id: WaitNote(waiting.status.value, waiting.reasons)
                for task_id, waiting in dispatcher.waits(WAITS_MAX).items()
            },
        ),
    )
