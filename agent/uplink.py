"""The uplink: connects to the hub, runs sessions, comes back after every break.

A cut made on purpose (``/api/uplink``) is kept in ``uplink.json`` and survives a restart, and so
does when the last sync was, to a minute after a crash. Nothing here is needed for local work: the
uplink only carries what lasts already.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, WSServerHandshakeError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from agent.device_session import DeviceSession, Progress
from shared import tls
from shared.core import instants
from shared.errors import LinkDown, SkerryError
from shared.link import HEARTBEAT_S
from shared.replica import Replica
from shared.store import exchange
from shared.store import node as nodes
from shared.store.transaction import Change
from shared.sync import frame as frames
from shared.sync.frame import DeviceStatus

FILE = "uplink.json"
CONNECT_S = 10
RETRY_BASE_S = 0.25
STOOD_MS = 500
KEEP_EVERY_S = 60.0  # writes of the time of the last sync: an fsync each, and it is only shown

log = logging.getLogger(__name__)


class UplinkStatus(msgspec.Struct, frozen=True):
    """How the uplink is (SHAPES, Uplink)."""

    enabled: bool
    connected: bool
    hub: str | None
    backlog: int
    last_sync_at: str | None
    last_error: str | None


class _Kept(msgspec.Struct, frozen=True):
    enabled: bool = True
    last_sync_ms: int | None = None


class Uplink:
    """The way to one hub. ``run`` until cancelled."""

    def __init__(
        self,
        replica: Replica,
        *,
        folder: Path,
        site: str,
        url: str | None,
        token: str | None,
        retry_max_s: float,
        now_ms: Callable[[], int],
        boot_ms: Callable[[], int],
        chance: Random,
        status: Callable[[], DeviceStatus],
    ) -> None:
        """Wire an uplink.

        Args:
            replica: This agent's.
            folder: Data folder, for ``uplink.json``.
            site: Site that this agent writes for.
            url: The hub's, ``http://…``; None: stands alone.
            token: For the hub.
            retry_max_s: Longest wait between two tries, seconds.
            now_ms: Wall clock, Unix ms.
            boot_ms: Time since the machine started, ms.
            chance: For the jitter.
            status: What to tell the hub of this device; backlog, disk and time are added here.
        """
        self._replica = replica
        self._folder = folder
        self._site = site
        self._url = url
        self._token = token
        self._retry_max_s = retry_max_s
        self._now_ms = now_ms
        self._boot_ms = boot_ms
        self._chance = chance
        self._status_of = status
        self._kept = self._load()
        self._keeping = asyncio.Lock()  # of the file: each write goes out from the one before
        self._progress = Progress(now_ms, self._kept.last_sync_ms)
        self._turned = asyncio.Event()
        self._session: DeviceSession | None = None
        self._last_error: str | None = None

    def status(self) -> UplinkStatus:
        """Return how the uplink is at present."""
        return UplinkStatus(
            enabled=self._kept.enabled,
            connected=self.is_connected,
            hub=self._url,
            backlog=self.backlog,
            last_sync_at=instants.text_or_none(self._progress.last_sync_ms),
            # A try that has got as far as a socket takes nothing back; an open session does.
            last_error=None if self._progress.is_connected else self._last_error,
        )

    @property
    def is_connected(self) -> bool:
        """Whether a session with the hub is open; any thread may ask."""
        # Cut on purpose it carries nothing more, though the socket may take a moment to close.
        return self._kept.enabled and self._progress.is_connected

    @property
    def backlog(self) -> int:
        """Events written here that the hub does not hold as far as we know."""
        stored = self._progress.stored
        own = [log for log in self._replica.node.logs.values() if log.own != nodes.OTHER]
        return sum(log.head - max(log.acked, stored.get(log.name, 0)) for log in own)

    async def set_enabled(self, enabled: bool) -> None:
        """Cut the link on purpose, or mend it; durable before it takes effect."""
        await self._keep(enabled=enabled)
        self._turned.set()

    def tell(self) -> None:
        """Tell the hub at once how the device is, if it is in reach."""
        if self._session is not None:
            self._session.tell()

    async def send_rest(self, most_s: float) -> None:
        """Return once the hub holds all that was written here, at most so many seconds later.

        At once if there is no session: what is here is sent by the next process.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(most_s):
                while self.status().connected and self.backlog:
                    await self._progress.noted()

    # ------------------------------------------------------------------ the loop

    async def run(self) -> None:
        """Keep a session up while the switch allows; never give up."""
        if self._url is None:
            return
        timeout = ClientTimeout(total=None, sock_connect=CONNECT_S)
        with self._replica.subscribe(self._hear):
            async with ClientSession(timeout=timeout) as client:
                while True:
                    self._turned.clear()
                    if self._kept.enabled:
                        await self._until_turned(client)
                    else:
                        await self._turned.wait()

    async def _until_turned(self, client: ClientSession) -> None:
        """Stay connected until somebody turns the switch."""
        async with asyncio.TaskGroup() as tasks:
            staying = tasks.create_task(self._stay_connected(client), name="uplink-session")
            keeping = tasks.create_task(self._keep_syncs(), name="uplink-syncs")
            await self._turned.wait()
            staying.cancel()
            keeping.cancel()

    async def _stay_connected(self, client: ClientSession) -> None:
        while True:
            connecting = AsyncRetrying(
                retry=retry_if_exception_type(LinkDown), wait=self._jitter, sleep=asyncio.sleep
            )
            await connecting(self._connect, client)
            await asyncio.sleep(self._chance.uniform(0, RETRY_BASE_S))

    def _jitter(self, call: RetryCallState) -> float:
        """Full jitter: a fleet that lost its hub together must not return together."""
        doublings = min(call.attempt_number - 1, 16)
        return self._chance.uniform(0, min(self._retry_max_s, RETRY_BASE_S * 2**doublings))

    async def _connect(self, client: ClientSession) -> None:
        """Connect and run one session.

        Returns once a session that had been open is over: the next wait starts small again.

        Raises:
            LinkDown: It never opened.
        """
        try:
            async with client.ws_connect(
                f"{(self._url or '').rstrip('/')}/sync",
                headers={"Authorization": f"Bearer {self._token}"} if self._token else {},
                heartbeat=HEARTBEAT_S,
                max_msg_size=frames.MESSAGE_BYTES_MAX,
                compress=0,
                ssl=tls.of(self._url),
            ) as socket:
                session = DeviceSession(
                    socket,
                    self._replica,
                    site=self._site,
                    status=self._status,
                    progress=self._progress,
                )
                await self._run(session)
        except WSServerHandshakeError as error:
            # Also a captive portal that answers every path with its login page.
            raise self._down(f"the hub answered {error.status}, no session") from error
        except (ClientError, OSError, TimeoutError) as error:
            raise self._down(f"no connection to {self._url}: {error}") from error

    async def _run(self, session: DeviceSession) -> None:
        self._session = session
        began_ms = self._boot_ms()
        try:
            ended = await session.run()
            down = self._ended(session, f"the session was closed: {ended.reason}")
        except BaseExceptionGroup as group:
            broken, rest = group.split(LinkDown)
            if broken is None or rest is not None:
                log.exception("a session failed; the next one goes on", exc_info=group)
            down = self._ended(session, str(_first(broken or group)))
        finally:
            self._session = None
            self._progress.note_down()
            await self._keep_stored()
            await self._keep_sync()
        this = asyncio.current_task()
        if this is not None and this.cancelling():
            # The link broke in the very moment in which we were cancelled: the task groups of a
            # session then report the break alone, and the cancellation would be lost.
            raise asyncio.CancelledError
        # A session that opens and breaks at once and did nothing (a full disk, two copies of one
        # device) is no reason to begin with short waits again.
        has_stood = session.was_open and self._boot_ms() - began_ms >= STOOD_MS
        if not (has_stood or session.was_of_use or session.goes_on_anew):
            raise down

    def _ended(self, session: DeviceSession, reason: str) -> LinkDown:
        if session.was_open:
            self._last_error = None  # what was wrong before it is over: the same reason is news
        return self._down(reason)

    def _down(self, reason: str) -> LinkDown:
        if reason != self._last_error:
            log.warning("uplink: %s", reason)
        self._last_error = reason
        return LinkDown(reason)

    async def _keep_stored(self) -> None:
        """Remember how far the hub had our logs: for the backlog shown after a restart."""
        stored = dict(self._progress.stored)
        if stored:
            writing = self._replica.write(lambda tx: exchange.note_stored(tx, stored))
            try:
                await asyncio.shield(writing)
            except SkerryError as error:  # a full disk must not end the uplink; it is advice
                log.info("could not keep how far the hub holds our logs: %s", error)

    async def _keep_syncs(self) -> None:
        """Remember now and then when the last sync was: a session may last for weeks."""
        while True:
            await self._progress.noted()
            await self._keep_sync()
            await asyncio.sleep(KEEP_EVERY_S)
            await self._keep_sync()  # what was synced meanwhile, if nothing follows

    async def _keep_sync(self) -> None:
        try:
            await asyncio.shield(self._keep(last_sync_ms=self._progress.last_sync_ms))
        except OSError as error:  # a full disk must not end the uplink; it is advice
            log.info("could not keep when the last sync was: %s", error)

    async def _keep(self, **fields: Any) -> None:
        """Change what is kept; durable on return."""
        async with self._keeping:
            kept = msgspec.structs.replace(self._kept, **fields)
            if kept != self._kept:
                await asyncio.to_thread(_save, self._folder / FILE, kept)
                self._kept = kept

    def _hear(self, changes: list[Change]) -> None:
        if self._session is not None and changes:
            self._session.ring()

    def _status(self) -> DeviceStatus:
        return msgspec.structs.replace(
            self._status_of(),
            backlog=self.backlog,
            disk_free_bytes=shutil.disk_usage(self._folder).free,
            now_ms=self._now_ms(),
        )

    def _load(self) -> _Kept:
        try:
            return msgspec.json.decode((self._folder / FILE).read_bytes(), type=_Kept)
        except FileNotFoundError:
            return _Kept()
        except msgspec.DecodeError as error:
            log.warning("%s is unreadable (%s): the uplink stays enabled", FILE, error)
            return _Kept()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what went wrong first, out of nested groups."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _save(path: Path, kept: _Kept) -> None:
    fresh = path.with_suffix(".tmp")
    with fresh.open("wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
