"""Handler ``mqtt``: tells a machine something on a broker, and may wait for its reply.

Request and reply belong together by the task's idempotency key, the same for each of its attempts:
a machine that gets a request again can recognise it, and its late reply to the first is as good as
one to the second. MQTT 3.1.1 has no field for that, so a JSON object carries it as ``correlation``,
and any other message is sent on, and answered on, a topic that ends with it.

A session of its own for each run: two runs at once need no order between them, and a broker that
is down is this run's trouble only.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec

from agent.handlers.handler import HandlerFailed, OutcomeUnknown, Output, Run, read_payload
from agent.handlers.settings import REPLY_S_MAX
from agent.handlers.topic import is_topic, matches
from hardware.mqtt import client_id
from hardware.mqtt_session import BrokerDown, Session, open_session
from shared.core.kinds.task_bodies import Failure
from shared.errors import Invalid

CORRELATION = "correlation"
MESSAGE_BYTES_MAX = 256 * 1024
REPLY_BYTES_MAX = 64 * 1024
SPARE_S = 60.0  # to connect, subscribe, publish and leave; each is bounded by the session


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of an ``mqtt`` task.

    Attributes:
        topic: Where to publish.
        message: Text is sent as it is, any other JSON as JSON.
        reply_topic: Where the machine replies; None: done once the broker has the message.
        qos: At least once; the others would lose it, or are more than 3.1.1 brokers all know.
        timeout_s: How long to wait for the reply, seconds; None: as the settings say.
    """

    topic: str
    message: Any
    reply_topic: str | None = None
    qos: Literal[1] = 1
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=REPLY_S_MAX)] | None = None


class Request(msgspec.Struct, frozen=True):
    """What goes over the wire."""

    topic: str
    message: bytes
    reply_topic: str | None
    key: str | None
    """Stands in the reply as ``correlation``; None: the topic tells whose it is."""


class Mqtt:
    """Publishes on topics that an operator allowed."""

    type = "mqtt"
    timeout_s = REPLY_S_MAX + SPARE_S

    def __init__(self, *, url: str, allow: Sequence[str], reply_timeout_s: float) -> None:
        self._url = url
        self._allow = tuple(allow)
        self._reply_timeout_s = reply_timeout_s

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it is a message that can be published anywhere."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Publish; return the reply, if there is to be one."""
        payload = _read(run.payload)
        for topic in (payload.topic, payload.reply_topic):
            if topic is not None and not any(matches(one, topic) for one in self._allow):
                text = f"{topic} is not in [handlers.mqtt] allow of this device"
                raise HandlerFailed(Failure("not-allowed", text, permanent=True))
        request = correlate(payload, run.idempotency_key)
        timeout_s = payload.timeout_s or self._reply_timeout_s
        # Before that nothing can have acted; afterwards nobody knows until the answer is there.
        is_sent = False
        try:
            async with open_session(
                self._url, client_id("attempt", run.attempt_id), None, kept=False
            ) as session:
                if request.reply_topic is not None:
                    await session.subscribe(request.reply_topic)
                is_sent = True
                await session.publish(request.topic, request.message)
                if request.reply_topic is None:
                    return {}
                run.progress({"waits_for": request.reply_topic})
                async with asyncio.timeout(timeout_s):
                    return _output(await _reply(session, request.key))
        except TimeoutError as error:
            text = f"no reply on {request.reply_topic} within {timeout_s:g} s"
            raise OutcomeUnknown(Failure("no-reply", text)) from error
        except BrokerDown as error:
            failure = Failure("broker-down", str(error))
            raise (OutcomeUnknown if is_sent else HandlerFailed)(failure) from error


def correlate(payload: Payload, key: str) -> Request:
    """Return what to send so that its reply can be told from others."""
    topic, message, reply_topic = payload.topic, payload.message, payload.reply_topic
    in_object = isinstance(message, dict)
    if reply_topic is not None and in_object:
        message = {**message, CORRELATION: key}
    elif reply_topic is not None:
        topic, reply_topic = f"{topic}/{key}", f"{reply_topic}/{key}"
    data = message.encode() if isinstance(message, str) else msgspec.json.encode(message)
    return Request(topic, data, reply_topic, key if in_object else None)


async def _reply(session: Session, key: str | None) -> bytes:
    """Return the payload of our reply; other people's are passed over."""
    while True:
        message = await session.receive()
        session.acknowledge(message)
        if key is None or _correlation(message.payload) == key:
            return message.payload


def _correlation(payload: bytes) -> object:
    value = _json(payload)
    return value.get(CORRELATION) if isinstance(value, dict) else None


def _json(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _output(reply: bytes) -> Output:
    is_short = len(reply) <= REPLY_BYTES_MAX
    value = _json(reply) if is_short else None
    if value is None:
        value = reply[:REPLY_BYTES_MAX].decode(errors="replace")
    return {"reply": value, "truncated": not is_short}


def _read(payload: Mapping[str, Any]) -> Payload:
    decoded = read_payload(payload, Payload, "mqtt")
    wrong: list[tuple[str, str]] = [
        (f"$.payload.{name}", f"{topic!r} is no topic to publish on")
        for name, topic in (("topic", decoded.topic), ("reply_topic", decoded.reply_topic))
        if topic is not None and not is_topic(topic)
    ]
    message = decoded.message
    if decoded.reply_topic is not None and isinstance(message, dict) and CORRELATION in message:
        wrong.append(("$.payload.message", f"the field {CORRELATION} is set by the agent"))
    size = len(msgspec.json.encode(message))
    if size > MESSAGE_BYTES_MAX:
        text = f"{size} bytes, at most {MESSAGE_BYTES_MAX} are sent"
        wrong.append(("$.payload.message", text))
    if wrong:
        text = "; ".join(f"{place}: {what}" for place, what in wrong)
        raise Invalid(f"payload of an mqtt task: {text}", tuple(wrong))
    return decoded
