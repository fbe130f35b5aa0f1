"""The loop of one webhook: finds what is to be told, and tells it until it is heard.

Each webhook has a loop, a connection and a backoff of its own, so a receiver that is slow or down
delays nobody else. At least once: killed between the answer and the mark, an event is sent again,
under the same id.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from random import Random

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from hub import outbox, webhook_event
from hub.outbox import Found, Letter
from hub.settings import Webhook
from shared import tls
from shared.core import instants
from shared.core.task_view import TaskView
from shared.errors import StoreClosed, StoreCorrupt, StoreError
from shared.replica import Replica
from shared.store.transaction import Change, Reading, Transaction

KIND = "webhook"  # of the change that a retry announces

TIMEOUT_S = 10.0
BATCH_MAX = 20  # sent between two looks into the journal
LOOK_S = 60.0  # longest sleep: the clock may jump
RETRY_S = 1.0  # after a step that the store refused; nothing is lost, the cursor has not moved
LAG_MAX = 10_000  # positions without an event that are looked through again after a restart
ERROR_CHARS_MAX = 300
GONE = 410

Render = Callable[[Reading, str], TaskView | None]

log = logging.getLogger(__name__)


def open_session() -> ClientSession:
    """Return a client for one receiver: one connection, no cookies, no proxy of the environment."""
    return ClientSession(connector=TCPConnector(limit=1), cookie_jar=DummyCookieJar())


class Courier:
    """Tells one webhook what it wants to know."""

    def __init__(
        self,
        replica: Replica,
        webhook: Webhook,
        *,
        secret: str,
        render: Render,
        now_ms: Callable[[], int],
        chance: Random,
        timeout_s: float = TIMEOUT_S,
        scan_max: int = outbox.SCAN_MAX,
        pending_max: int = outbox.PENDING_MAX,
    ) -> None:
        """Build a courier; ``run`` starts it.

        Args:
            replica: The hub's; ``outbox.open_all`` has been called.
            webhook: Whom to tell what.
            secret: Key of the signature.
            render: A task as GET gives it, on a database thread; None: it is not known.
            now_ms: Wall clock, Unix ms.
            chance: Source of jitter.
            timeout_s: For one delivery.
            scan_max: Positions looked through in one step.
            pending_max: Events that may wait; of more, the oldest are dropped and counted.
        """
        self._replica = replica
        self._webhook = webhook
        self._secret = secret
        self._render = render
        self._now_ms = now_ms
        self._chance = chance
        self._timeout = ClientTimeout(total=timeout_s)
        self._scan_max = scan_max
        self._pending_max = pending_max
        self._stored: int | None = None  # the cursor in the table; None: not read yet
        self._cursor = 0  # may be ahead of it, where there was nothing to tell
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Tell until cancelled."""
        async with open_session() as http:
            with self._replica.subscribe(self._heard):
                while True:
                    self._wake.clear()
                    try:
                        await self.collect()
                        sent = await self.deliver(http)
                    except StoreClosed:
                        return
                    except StoreCorrupt:
                        raise
                    except Exception:  # a full disk, a fault of ours: the others go on
                        log.exception("webhook %s: again in %s s", self._webhook.id, RETRY_S)
                        await asyncio.sleep(RETRY_S)
                        continue
                    if sent < BATCH_MAX:
                        await self._sleep()

    async def collect(self) -> None:
        """Look through the journal up to its end; what is found is durable afterwards."""
        webhook = self._webhook
        if self._stored is None:
            stored = await self._replica.read(partial(outbox.cursor, webhook_id=webhook.id))
            self._cursor = self._stored = stored
        is_end = False
        while not is_end:
            look = partial(
                outbox.look, webhook=webhook, after=self._cursor, scan_max=self._scan_max
            )
            found = await self._replica.read(look)
            if found.occurrences or found.upto - self._stored > LAG_MAX:
                await self._put(found)
            self._cursor, is_end = found.upto, found.is_end

    async def deliver(self, http: ClientSession) -> int:
        """Send what is due, one after the other, at most BATCH_MAX; returns how many."""
        now_ms = self._now_ms()
        due = partial(outbox.due, webhook_id=self._webhook.id, now_ms=now_ms, limit=BATCH_MAX)
        letters = await self._replica.read(due)
        for letter in letters:
            await self._send(http, letter)
        return len(letters)

    async def _put(self, found: Found) -> None:
        webhook_id = self._webhook.id
        put = partial(outbox.put, found=found, pending_max=self._pending_max)
        dropped = await self._replica.write(partial(put, webhook_id=webhook_id))
        self._stored = found.upto
        if dropped:
            log.warning(
                "webhook %s: the %s oldest pending events were dropped", webhook_id, dropped
            )

    async def _send(self, http: ClientSession, letter: Letter) -> None:
        answer = await self._try(http, letter)
        if isinstance(answer, int) and 200 <= answer < 300:
            await self._write(partial(outbox.delivered, event=letter.event))
            return
        error = f"answered {answer}" if isinstance(answer, int) else answer[:ERROR_CHARS_MAX]
        if answer == GONE:
            log.warning("webhook %s: %s, %s is dropped", self._webhook.id, error, letter.event)
            await self._write(partial(outbox.drop, event=letter.event, error=error))
            return
        delay = webhook_event.delay_ms(letter.attempts, self._chance)
        put_off = partial(outbox.put_off, letter=letter, error=error, delay_ms=delay)
        if await self._write(put_off):
            log.warning("webhook %s: gives up %s: %s", self._webhook.id, letter.event, error)

    async def _try(self, http: ClientSession, letter: Letter) -> int | str:
        """Send a letter; return the status of the answer, or why there was none."""
        try:
            task = await self._replica.read(lambda reading: self._render(reading, letter.task))
        except StoreError:
            raise
        except Exception as error:  # one bad task never stops the rest (promise 6)
            log.exception("webhook %s: task %s cannot be shown", self._webhook.id, letter.task)
            return f"the task cannot be shown: {error}"
        if task is None:
            return "the task is not known any more"
        body = webhook_event.Body(letter.event, letter.type, instants.text(letter.at_ms), task)
        return await self._post(http, letter.event, msgspec.json.encode(body))

    async def _post(self, http: ClientSession, event: str, body: bytes) -> int | str:
        """Send a body; return the status of the answer, or why there was none."""
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": event,
            "Skerry-Signature": webhook_event.signature(self._secret, self._now_ms(), body),
        }
        try:
            async with http.post(
                self._webhook.url,
                data=body,
                headers=headers,
                allow_redirects=False,  # the signed body is for this receiver, not for another
                ssl=tls.of(self._webhook.url),
                timeout=self._timeout,
            ) as answer:
                return answer.status
        except TimeoutError:
            return f"no answer within {self._timeout.total} s"
        except (ClientError, OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"

    async def _write(self, change: Callable[..., bool | None]) -> bool:
        def write(tx: Transaction) -> bool:
            return bool(change(tx, webhook_id=self._webhook.id))

        return await self._replica.write(write)

    def _heard(self, changes: list[Change]) -> None:
        for change in changes:
            if change.kind == "task" or (change.kind, change.subject) == (KIND, self._webhook.id):
                self._wake.set()
                return

    async def _sleep(self) -> None:
        at = await self._replica.read(partial(outbox.next_at, webhook_id=self._webhook.id))
        seconds = LOOK_S if at is None else (at - self._now_ms()) / 1000
        try:
            async with asyncio.timeout(max(0.0, min(LOOK_S, seconds))):
                await self._wake.wait()
        except TimeoutError:
            return
