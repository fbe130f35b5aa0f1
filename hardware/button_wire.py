"""Pure: what a button box and its driver say to each other, inside the frames of ``framing``.

    box to host    P  box (2 bytes)  number (2 bytes)  state (g, y or r)  reason (UTF-8 or nothing)
    host to box    A  box (2 bytes)  number (2 bytes)

``box`` is drawn at random each time the box gets power, so that a box that counts from 0 again is
not taken for one that repeats itself. The box sends a press again, every half second, until its
``A`` arrives; it sends its next press only then.
"""

import msgspec

from hardware.driver import Observation
from hardware.framing import PAYLOAD_BYTES_MAX
from shared.core.kinds.equipment import State

RESEND_S = 0.5

_PRESS = b"P"
_ACK = b"A"
_NAME_BYTES = 5
_LETTERS = {State.GREEN: b"g", State.YELLOW: b"y", State.RED: b"r"}
_STATES = {letter: state for state, letter in _LETTERS.items()}
REASON_BYTES_MAX = PAYLOAD_BYTES_MAX - _NAME_BYTES - 1


class PressId(msgspec.Struct, frozen=True):
    """Names one press."""

    box: int
    number: int


class Press(msgspec.Struct, frozen=True):
    """Somebody pressed a button."""

    id: PressId
    observation: Observation


def encode_press(press: Press) -> bytes:
    """Return the payload of a press.

    Raises:
        ValueError: The reason has more than REASON_BYTES_MAX bytes.
    """
    reason = (press.observation.reason or "").encode()
    if len(reason) > REASON_BYTES_MAX:
        raise ValueError(f"a reason has at most {REASON_BYTES_MAX} bytes, not {len(reason)}")
    return _PRESS + _encode_id(press.id) + _LETTERS[press.observation.state] + reason


def decode_press(payload: bytes) -> Press | None:
    """Return the press in a payload; None if it is none."""
    state = _STATES.get(payload[_NAME_BYTES : _NAME_BYTES + 1])
    if payload[:1] != _PRESS or state is None:
        return None
    try:
        reason = payload[_NAME_BYTES + 1 :].decode()
    except UnicodeDecodeError:
        return None
    return Press(_decode_id(payload), Observation(state, reason or None))


def encode_ack(press: PressId) -> bytes:
    """Return the payload that says: this press is stored."""
    return _ACK + _encode_id(press)


def decode_ack(payload: bytes) -> PressId | None:
    """Return the press that a payload acknowledges; None if it acknowledges none."""
    if payload[:1] != _ACK or len(payload) != _NAME_BYTES:
        return None
    return _decode_id(payload)


def _encode_id(press: PressId) -> bytes:
    return press.box.to_bytes(2, "big") + press.number.to_bytes(2, "big")


def _decode_id(payload: bytes) -> PressId:
    return PressId(int.from_bytes(payload[1:3], "big"), int.from_bytes(payload[3:5], "big"))
