"""Driver ``mqtt``: a machine that publishes its state on a broker and may be told one.

The machine publishes ``{"state": "red", "reason": "jam"}`` or just ``red`` on its state topic, all
of them retained or none: a broker repeats the retained one at each reconnect, and an old one would
speak over newer messages that were not retained. What it is to show is published, retained, as
``{"state": "red"}`` on its set topic.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Callable

import msgspec

from hardware.driver import Health, Observation, Sink
from hardware.mqtt_session import BrokerDown, Message, Presence, Session, open_session
from hardware.reconnect import Backoff, HealthLog, reconnect_for_ever
from shared.core.kinds.equipment import State

log = logging.getLogger(__name__)

WINDOW = 64
"""Messages being stored at once: the journal commits in groups, one at a time would starve it."""
PAYLOAD_BYTES_MAX = 4096
REASON_MAX = 200  # longer ones are cut: a report must not be lost for its wording
RETRY_MAX_S = 30.0


class _Report(msgspec.Struct, frozen=True):
    """What a machine sends; fields we do not know are the machine's own business."""

    state: State
    reason: str | None = None


class Order(msgspec.Struct, frozen=True):
    """What a machine is sent: the state to show; None: nothing."""

    state: State | None


_decode_report = msgspec.json.Decoder(_Report).decode
_WORDS = {state.encode(): state for state in State}


def parse_report(payload: bytes) -> Observation | None:
    """Return what the payload reports; None if it is malformed."""
    if len(payload) > PAYLOAD_BYTES_MAX:
        return None
    word = _WORDS.get(payload.strip().lower())
    if word is not None:
        return Observation(word)
    try:
        report = _decode_report(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return Observation(report.state, report.reason[:REASON_MAX] if report.reason else None)


def client_id(device: str, driver_id: str) -> str:
    """Return the name of this driver's session: the same for ever.

    23 letters and digits, which is all that MQTT 3.1.1 obliges a broker to accept.
    """
    return "skerry" + hashlib.sha256(f"{device}\0{driver_id}".encode()).hexdigest()[:17]


def status_topic(device: str, driver_id: str) -> str:
    """Return where the driver is ``online`` or (also as its last will) ``offline``."""
    return f"skerry/{device}/{driver_id}/status"


class MqttMachine:
    """A machine behind a broker. Its messages are acknowledged once they are durable here."""

    def __init__(
        self,
        driver_id: str,
        *,
        device: str,
        url: str,
        state_topic: str,
        set_topic: str | None,
        now_ms: Callable[[], int],
        chance: random.Random,
    ) -> None:
        self.id = driver_id
        self.malformed = 0
        """How many messages said nothing that this driver understands."""
        self.repeated = 0
        """How many came again while held: some brokers repeat what is not acknowledged soon."""
        self._url = url
        self._client_id = client_id(device, driver_id)
        self._presence = Presence(status_topic(device, driver_id))
        self._state_topic = state_topic
        self._set_topic = set_topic
        self._health = HealthLog(driver_id, now_ms)
        self._backoff = Backoff(chance, max_s=RETRY_MAX_S)
        self._order: Order | None = None  # until somebody desires something, say nothing
        self._ordered = asyncio.Event()
        # Packet numbers not acknowledged on this connection: the broker gives none of them to
        # another message. At most WINDOW.
        self._held: set[int] = set()

    @property
    def health(self) -> Health:
        """Whether the broker is reached; the machine itself may be away."""
        return self._health.current

    def watch_health(self, changed: Callable[[], None]) -> None:
        """Have ``changed`` called after each change of health."""
        self._health.watch(changed)

    def desire(self, state: State | None) -> None:
        """Tell the machine what to show, now and after each reconnect."""
        order = Order(state)
        if order != self._order:
            self._order = order
            self._ordered.set()

    async def run(self, sink: Sink) -> None:
        """Report what the machine says until cancelled."""

        async def serve() -> None:
            await self._serve(sink)

        await reconnect_for_ever(serve, health=self._health, backoff=self._backoff)

    async def _serve(self, sink: Sink) -> None:
        # One report more is awaited by _acknowledge, and one waits for room in the queue.
        reports: asyncio.Queue[tuple[Message, asyncio.Task[None]]] = asyncio.Queue(WINDOW - 2)
        self._held.clear()
        async with (
            open_session(self._url, self._client_id, self._presence) as session,
            asyncio.TaskGroup() as tasks,
        ):
            await session.subscribe(self._state_topic)
            self._health.connected(f"{self._state_topic} at {self._url}")
            tasks.create_task(self._acknowledge(session, reports), name=f"{self.id} acknowledge")
            tasks.create_task(self._show(session), name=f"{self.id} show")
            while True:
                message = await session.receive()
                if message.packet in self._held:
                    self.repeated += 1
                    continue
                self._held.add(message.packet)
                report = tasks.create_task(self._report(sink, message), name=f"{self.id} report")
                await reports.put((message, report))

    async def _report(self, sink: Sink, message: Message) -> None:
        observation = parse_report(message.payload)
        if observation is None:
            # It is acknowledged nevertheless: it can never become valid.
            self.malformed += 1
            log.warning("%s: not understood: %.80r", self.id, message.payload)
            return
        try:
            await sink(observation)
        except Exception as error:
            # Leaving makes the broker give the message again; the backoff grows meanwhile.
            log.exception("%s: report not stored", self.id)
            raise BrokerDown(self._url, f"left it: report not stored ({error!r})") from error

    async def _acknowledge(
        self, session: Session, reports: asyncio.Queue[tuple[Message, asyncio.Task[None]]]
    ) -> None:
        while True:
            message, report = await reports.get()
            await report
            self._held.discard(message.packet)
            session.acknowledge(message)
            self._backoff.reset()

    async def _show(self, session: Session) -> None:
        while True:
            self._ordered.clear()
            if self._set_topic is not None and self._order is not None:
                await session.publish(
                    self._set_topic, msgspec.json.encode(self._order), retain=True
                )
            await self._ordered.wait()
