"""Handler ``serial``: asks a device on a serial line, through the driver that owns its port.

It opens no port and needs no library: a driver of type ``serial-device`` does.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from agent.handlers.handler import HandlerFailed, OutcomeUnknown, Output, Run, read_payload
from agent.handlers.pattern import is_pattern, wild_part
from agent.handlers.settings import REPLY_S_MAX
from hardware.driver import Askable, NotAnswered, NotAsked
from shared.core.kinds.task_bodies import Failure
from shared.errors import Invalid

SEND_MAX = 1024
SPARE_S = 10.0  # beyond the longest request, so that it is this handler that says what was silent

Text = Annotated[
    str, msgspec.Meta(min_length=1, max_length=SEND_MAX, pattern=r"\A[^\x00-\x08\x0a-\x1f\x7f]*\Z")
]


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Payload of a ``serial`` task.

    Attributes:
        driver: Which device, by the id of its driver.
        send: What to ask: one line.
        expect: What a reply that means success looks like, ``*`` for any text; None: any reply.
        timeout_s: How long to wait for the device and its reply; None: as the settings say.
    """

    driver: str
    send: Text
    expect: Text | None = None
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=REPLY_S_MAX)] | None = None


class Serial:
    """Asks the devices of this machine."""

    type = "serial"
    timeout_s = REPLY_S_MAX + SPARE_S

    def __init__(self, devices: Iterable[Askable], *, reply_timeout_s: float) -> None:
        self._devices = {device.id: device for device in devices}
        self._reply_timeout_s = reply_timeout_s

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether it is a request that some device could be asked."""
        _read(payload)

    async def run(self, run: Run) -> Output:
        """Ask, and return the reply."""
        payload = _read(run.payload)
        device = self._devices.get(payload.driver)
        if device is None:
            text = f"this device has no driver {payload.driver} that can be asked"
            raise HandlerFailed(Failure("no-driver", text, permanent=True))
        if len(payload.send.encode()) > device.bytes_max:
            text = f"{payload.driver} takes at most {device.bytes_max} bytes at once"
            raise HandlerFailed(Failure("too-long", text, permanent=True))
        try:
            reply = await device.request(
                payload.send, timeout_s=payload.timeout_s or self._reply_timeout_s
            )
        except NotAsked as error:
            raise HandlerFailed(Failure("not-asked", str(error))) from error
        except NotAnswered as error:
            raise OutcomeUnknown(Failure("no-reply", str(error))) from error
        output = {"reply": reply.text, "truncated": reply.cut}
        if payload.expect is not None and wild_part(payload.expect, reply.text) is None:
            text = f"{payload.driver} answered {reply.text[:200]!r}, not {payload.expect!r}"
            raise HandlerFailed(Failure("unexpected-reply", text), output)
        return output


def _read(payload: Mapping[str, Any]) -> Payload:
    decoded = read_payload(payload, Payload, "serial")
    if decoded.expect is not None and not is_pattern(decoded.expect):
        text = f"{decoded.expect!r} has more than one *"
        raise Invalid(f"payload of a serial task: expect: {text}", (("$.payload.expect", text),))
    return decoded
