"""An MQTT 3.1.1 session: the only file that knows aiomqtt and paho.

Three things are done through private names of aiomqtt 2.5 (hence the pin below 2.6, and tests):
paho's manual acknowledgement, without which aiomqtt acknowledges a message before anyone has stored
it, paho's ``disconnect``, without which a connection refused half-way leaks its socket, and how
often paho is asked whether the broker must hear of us: aiomqtt asks each second.
"""

import contextlib
from collections.abc import AsyncIterator, Iterator

import aiomqtt
import msgspec
from paho.mqtt.reasoncodes import ReasonCode

from hardware.look import until_next_look
from hardware.reconnect import WireDown, honour_cancel
from hardware.settings import broker_address

KEEPALIVE_S = 20
"""A machine that vanished is known to the others after 1.5 times this; LOOK_S fits in between."""
ANSWER_WAIT_S = 10.0
FAREWELL_WAIT_S = 2.0
INCOMING_MAX = 4096
_QOS = 1
_OK = 0


class BrokerDown(WireDown):
    """The broker cannot be used now. Connect again after a while."""

    def __init__(self, url: str, reason: str) -> None:
        self.url = url
        self.reason = reason
        super().__init__(f"broker {url}: {reason}")


class Message(msgspec.Struct, frozen=True):
    """A message received, to be acknowledged once it is stored."""

    topic: str
    payload: bytes
    packet: int
    qos: int


class Presence(msgspec.Struct, frozen=True):
    """Where a client says that it is here; the broker says there when it is gone (last will)."""

    topic: str
    here: bytes = b"online"
    gone: bytes = b"offline"


class _Client(aiomqtt.Client):
    """Wakes a machine at rest no more often than it must."""

    async def _misc_loop(self) -> None:
        while self._client.loop_misc() == _OK:
            await until_next_look()


class Session:
    """A connected session. Made by ``open_session``."""

    def __init__(self, url: str, client: aiomqtt.Client, incoming_max: int) -> None:
        self.url = url
        self._client = client
        self._incoming_max = incoming_max
        self._until_gap: int | None = None

    async def subscribe(self, topic: str) -> None:
        """Ask for the messages of one topic, QoS 1.

        Raises:
            BrokerDown: The broker went away, did not answer or refused.
        """
        with self._errors():
            granted = await self._client.subscribe(topic, qos=_QOS)
        if any(isinstance(code, ReasonCode) and code.is_failure for code in granted):
            raise BrokerDown(self.url, f"refused the subscription to {topic}")

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has taken the message, QoS 1.

        Raises:
            BrokerDown: The broker went away or did not answer.
        """
        with self._errors():
            await self._client.publish(topic, payload, qos=_QOS, retain=retain)

    async def receive(self) -> Message:
        """Return the next message.

        Raises:
            BrokerDown: The connection is lost. Or too many messages were waiting and aiomqtt
                discarded some: those before the gap are returned first; after a reconnect the
                broker sends all that were not acknowledged.
        """
        messages = self._client.messages
        if self._until_gap is None and len(messages) >= self._incoming_max:
            self._until_gap = self._incoming_max
        if self._until_gap is not None:
            if self._until_gap == 0:
                raise BrokerDown(self.url, f"sent over {self._incoming_max} messages at once")
            self._until_gap -= 1
        with self._errors():
            message = await anext(messages)
        return Message(str(message.topic), message.payload, message.mid, message.qos)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that it may forget the message. Keep the order of arrival.

        Raises:
            BrokerDown: The connection is lost; the message will come again.
        """
        code = self._client._client.ack(message.packet, message.qos)  # noqa: SLF001
        if code != _OK:
            raise BrokerDown(self.url, "the connection is lost")

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except aiomqtt.MqttError as error:
            raise BrokerDown(self.url, str(error)) from error
        honour_cancel()


@contextlib.asynccontextmanager
async def open_session(
    url: str,
    client_id: str,
    presence: Presence | None,
    *,
    kept: bool = True,
    incoming_max: int = INCOMING_MAX,
) -> AsyncIterator[Session]:
    """Connect; the broker keeps the session, and what arrives for it, while we are away.

    Args:
        url: ``mqtt://host[:port]``.
        client_id: Names the session at the broker; must be the same for ever if it is kept.
        presence: Where to say that this client is here or gone, retained; None: nowhere.
        kept: False: the broker forgets the session, and what came for it, when we leave.
        incoming_max: How many received messages may wait for ``Session.receive``.

    Raises:
        BrokerDown: The broker does not answer or refuses.
    """
    host, port = broker_address(url)
    client = _Client(
        host,
        port,
        identifier=client_id,
        clean_session=not kept,
        will=_will(presence) if presence else None,
        keepalive=KEEPALIVE_S,
        timeout=ANSWER_WAIT_S,
        max_queued_incoming_messages=incoming_max,
    )
    client._client.manual_ack_set(True)  # noqa: SLF001
    try:
        await client.__aenter__()
        honour_cancel()
    except BaseException as error:
        client._client.disconnect()  # noqa: SLF001
        if isinstance(error, aiomqtt.MqttError):
            raise BrokerDown(url, str(error)) from error
        raise
    session = Session(url, client, incoming_max)
    try:
        if presence is not None:
            await session.publish(presence.topic, presence.here, retain=True)
        yield session
    finally:
        await _leave(client, presence)


def _will(presence: Presence) -> aiomqtt.Will:
    return aiomqtt.Will(presence.topic, presence.gone, qos=_QOS, retain=True)


async def _leave(client: aiomqtt.Client, presence: Presence | None) -> None:
    """Say goodbye, as a clean disconnect keeps the broker from sending the will."""
    if presence is not None:
        with contextlib.suppress(aiomqtt.MqttError):
            await client.publish(
                presence.topic, presence.gone, qos=0, retain=True, timeout=FAREWELL_WAIT_S
            )
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
