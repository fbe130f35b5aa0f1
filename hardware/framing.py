"""Frames on a serial line: bytes in, payloads out, whatever happened to the bytes.

A frame is::

    A5  length  payload (1 to 64 bytes)  CRC high  CRC low

``length`` counts the payload. The checksum is CRC-16/CCITT-FALSE over length and payload: it finds
every single burst of up to 16 bits, which is what a loose plug makes. ``A5`` may stand in a payload
too; no byte is escaped, because resynchronising on the checksum needs no escapes.
"""

from binascii import crc_hqx

START = 0xA5
PAYLOAD_BYTES_MAX = 64
_HEAD_BYTES = 2
_TAIL_BYTES = 2
FRAME_BYTES_MAX = _HEAD_BYTES + PAYLOAD_BYTES_MAX + _TAIL_BYTES


def encode(payload: bytes) -> bytes:
    """Return ``payload`` as one frame.

    Raises:
        ValueError: The payload is empty or longer than PAYLOAD_BYTES_MAX.
    """
    if not 1 <= len(payload) <= PAYLOAD_BYTES_MAX:
        raise ValueError(f"a payload has 1 to {PAYLOAD_BYTES_MAX} bytes, not {len(payload)}")
    checked = bytes((len(payload),)) + payload
    return bytes((START,)) + checked + crc_hqx(checked, 0xFFFF).to_bytes(_TAIL_BYTES, "big")


class Framer:
    """Finds frames in a stream of bytes. Keeps less than one frame, however long the noise.

    A start byte in noise can claim bytes that belong to the next frame. When its checksum fails,
    only that one byte is given up and the search goes on right behind it, so a whole frame behind
    noise is always found; at the latest at the next ``gap``.
    """

    def __init__(self) -> None:
        self._pending = bytearray()
        self.noise_bytes = 0
        """How many bytes belonged to no frame, since the start."""

    @property
    def partial(self) -> bool:
        """Whether the start of a frame is waiting for its rest."""
        return bool(self._pending)

    def feed(self, received: bytes) -> list[bytes]:
        """Take the next bytes; return the payloads they complete, in order."""
        self._pending += received
        return self._scan()

    def gap(self) -> list[bytes]:
        """Take note of a silence longer than any within a frame.

        What is waiting will never be completed, but it may hide a whole frame behind a false
        start: return those.
        """
        payloads: list[bytes] = []
        while self._pending:
            self._skip(1)
            payloads += self._scan()
        return payloads

    def _scan(self) -> list[bytes]:
        payloads: list[bytes] = []
        while True:
            start = self._pending.find(START)
            self._skip(len(self._pending) if start < 0 else start)
            if len(self._pending) < _HEAD_BYTES:
                return payloads
            length = self._pending[1]
            end = _HEAD_BYTES + length
            if not 1 <= length <= PAYLOAD_BYTES_MAX:
                self._skip(1)
            elif len(self._pending) < end + _TAIL_BYTES:
                return payloads
            elif crc_hqx(self._pending[1 : end + _TAIL_BYTES], 0xFFFF) == 0:
                # The CRC of checked bytes and their own CRC is zero.
                payloads.append(bytes(self._pending[_HEAD_BYTES:end]))
                del self._pending[: end + _TAIL_BYTES]
            else:
                self._skip(1)

    def _skip(self, count: int) -> None:
        self.noise_bytes += count
        del self._pending[:count]
