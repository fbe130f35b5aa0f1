"""One sync session of this agent: performs the effects of the device's side on the replica."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from agent import testimony
from shared.link import Ended, Link, Socket
from shared.replica import Replica
from shared.store import exchange
from shared.store import node as nodes
from shared.sync import device
from shared.sync.frame import DeviceStatus

STATUS_EVERY_S = 15
LOOK_EVERY_S = 1.0  # whether there is news of why tasks wait: a person at the hub looks at it

log = logging.getLogger(__name__)


class Progress:
    """What the uplink remembers across sessions."""

    def __init__(self, now_ms: Callable[[], int], last_sync_ms: int | None = None) -> None:
        self._now_ms = now_ms
        self.stored: dict[str, int] = {}  # how far the hub holds our logs
        self.last_sync_ms = last_sync_ms
        self.is_connected = False
        self._noted = asyncio.Event()

    def note_sync(self) -> None:
        """Note that something was acknowledged just now, in either direction."""
        self.last_sync_ms = self._now_ms()
        self._noted.set()

    def note_down(self) -> None:
        """Note that there is no session any more."""
        self.is_connected = False
        self._noted.set()

    async def noted(self) -> None:
        """Return once either is noted anew."""
        self._noted.clear()
        await self._noted.wait()


class DeviceSession:
    """Runs once, over one socket."""

    def __init__(
        self,
        socket: Socket,
        replica: Replica,
        *,
        site: str,
        status: Callable[[], DeviceStatus],
        progress: Progress,
    ) -> None:
        self._replica = replica
        self._status = status
        self._progress = progress
        hello = exchange.hello(replica.node, site, status())
        self._told_backlog = hello.status.backlog
        self._told_waits = hello.status.waits
        self._wake = asyncio.Event()
        self._has_news = False  # to be told at once: a backlog is gone, or the device closes down
        self._has_grown = False  # the journal, since it was last looked at why tasks wait
        self._heads = {name: head.seq for name, head in hello.heads.items()}
        self._link: Link[device.State, device.Input, device.Effect] = Link(
            socket, device.start(hello), device.receive, self._perform, self._news
        )
        self.was_open = False
        self.goes_on_anew = False
        self.was_of_use = False  # the hub stored something that was sent in it

    async def run(self) -> Ended:
        """Run until either side closes; return why.

        Raises:
            LinkDown: The connection broke.
        """
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell_status(), name="uplink-status")
            try:
                return await self._link.run(device.Opened())
            finally:
                telling.cancel()

    def tell(self) -> None:
        """Tell the hub at once how the device is."""
        self._has_news = True
        self._wake.set()

    def ring(self) -> None:
        """Say that the journal has grown."""
        self._link.ring()
        if not self._has_grown:
            self._has_grown = True
            self._wake.set()

    async def _tell_status(self) -> None:
        while True:
            status = await self._next_status()
            self._told_backlog, self._told_waits = status.backlog, status.waits
            await self._link.post(device.StatusChanged(status))

    async def _next_status(self) -> DeviceStatus:
        """Return what the hub should hear: at times, and soon after it was told something else.

        Only while something waits, or when the journal has grown, is it looked at as often: an idle
        device is to rest.
        """
        left_s = float(STATUS_EVERY_S)
        while left_s > 0 and not self._has_news:
            looks_soon = bool(self._told_waits) or self._has_grown
            pause_s = LOOK_EVERY_S if looks_soon else left_s
            if await self._is_woken_within(pause_s):
                continue  # what woke it decides how long it rests now
            left_s -= pause_s
            if looks_soon:
                self._has_grown = False
                if self.was_open and self._status().waits != self._told_waits:
                    break
        self._has_news = False
        return self._status()

    async def _is_woken_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        is_woken = self._wake.is_set()
        self._wake.clear()
        return is_woken

    def _news(self) -> device.Input | None:
        heads = {
            log.name: log.head
            for log in self._replica.node.logs.values()
            if log.own != nodes.OTHER and log.head > self._heads.get(log.name, 0)
        }
        self._heads |= heads
        return device.Advanced(heads) if heads else None

    def _look_at_backlog(self) -> None:
        """Tell the hub as soon as a backlog that it was told of is gone."""
        if self.was_open and self._told_backlog and not self._status().backlog:
            self.tell()

    async def _perform(self, effect: device.Effect) -> device.Input | None:
        match effect:
            case device.Adopt(epoch):
                cursors = await self._replica.write(lambda tx: exchange.adopt(tx, epoch))
                self.was_open = self._progress.is_connected = True
                self._progress.note_sync()
                self._look_at_backlog()
                return device.Adopted(cursors)
            case device.ReadLog(origin, after):
                return await self._read_log(origin, after)
            case device.TakeDown(chunk):
                cursor = await self._replica.write(lambda tx: testimony.take(tx, chunk))
                self._progress.note_sync()
                return device.DownTaken(chunk.lane, cursor)
            case device.NoteStored(origin, seq):
                self._progress.stored[origin] = seq
                self.was_of_use = self.was_open
                self._progress.note_sync()
                self._look_at_backlog()
            case device.TakeNewIncarnation(reason):
                log.warning("%s; going on under a new incarnation", reason)
                await self._replica.run_on_writer(lambda store: store.new_incarnation(reason))
                self.goes_on_anew = True
            case device.Send() | device.Close():
                raise AssertionError("the link sends and closes by itself")
        return None

    async def _read_log(self, origin: str, after: int) -> device.Input:
        node = self._replica.node
        stretch = await self._replica.read_journal(
            lambda reading: exchange.read_log(reading, node, origin, after)
        )
        # Afterwards: what is committed between a guard and a read would leave unguarded.
        await self._replica.about_to_leave()
        return device.LogRead(stretch)
