"""Pure: how a request and its reply look on a serial line, in one of two framings.

``line``: text and a line end, each way. Nothing in a line says to which request it belongs.

``frame``: frames of ``framing`` with

    host to device    Q  number (2 bytes)  text (UTF-8)
    device to host    R  number (2 bytes)  text (UTF-8)

where the reply has the number of its request, so that a late one is not taken for another.
"""

import msgspec

from hardware.framing import PAYLOAD_BYTES_MAX, Framer, encode

LINE_BYTES_MAX = 1024
_HEAD_BYTES = 3
FRAME_TEXT_BYTES_MAX = PAYLOAD_BYTES_MAX - _HEAD_BYTES

_REQUEST = b"Q"
_REPLY = b"R"
_LINE_ENDS = b"\r\n"


class Said(msgspec.Struct, frozen=True):
    """A whole text that arrived."""

    text: str
    number: int | None
    """Of the request that it belongs to; None: a line, which does not say."""
    cut: bool = False
    """It was a line of more than LINE_BYTES_MAX bytes, of which this is the beginning."""


class Lines:
    """Texts as lines. Keeps at most one line's bytes, however long the line."""

    bytes_max = LINE_BYTES_MAX
    numbered = False

    def __init__(self, line_end: bytes) -> None:
        self._line_end = line_end
        self._pending = bytearray()
        self._overflowed = False

    def encode_request(self, text: str, number: int) -> bytes:
        """Return the bytes of a request; lines have no room for its number."""
        return text.encode() + self._line_end

    def encode_reply(self, text: str, number: int) -> bytes:
        """Return the bytes of a reply: the same as those of a request."""
        return self.encode_request(text, number)

    def feed(self, received: bytes) -> list[Said]:
        """Take the next bytes; return what they complete. Empty lines say nothing."""
        said: list[Said] = []
        for byte in received:
            if byte in _LINE_ENDS:
                if self._pending:
                    text = self._pending.decode(errors="replace")
                    said.append(Said(text, None, self._overflowed))
                self._pending.clear()
                self._overflowed = False
            elif len(self._pending) < LINE_BYTES_MAX:
                self._pending.append(byte)
            else:
                self._overflowed = True
        return said

    def gap(self) -> list[Said]:
        """Take note of a silence: a line that has begun may well go on after it."""
        return []

    @property
    def partial(self) -> bool:
        """Whether a silence would complete anything: never."""
        return False


class Frames:
    """Texts in numbered frames; ``wanted`` is ``R`` at the host and ``Q`` at the device."""

    bytes_max = FRAME_TEXT_BYTES_MAX
    numbered = True

    def __init__(self, wanted: bytes = _REPLY) -> None:
        self._wanted = wanted
        self._framer = Framer()

    def encode_request(self, text: str, number: int) -> bytes:
        """Return the frame of a request."""
        return encode(_REQUEST + number.to_bytes(2, "big") + text.encode())

    def encode_reply(self, text: str, number: int) -> bytes:
        """Return the frame of the reply to request ``number``."""
        return encode(_REPLY + number.to_bytes(2, "big") + text.encode())

    def feed(self, received: bytes) -> list[Said]:
        """Take the next bytes; return what they complete."""
        return self._read(self._framer.feed(received))

    def gap(self) -> list[Said]:
        """Take note of a silence longer than any within a frame."""
        return self._read(self._framer.gap())

    @property
    def partial(self) -> bool:
        """Whether the start of a frame is waiting for its rest."""
        return self._framer.partial

    def _read(self, payloads: list[bytes]) -> list[Said]:
        return [
            Said(
                payload[_HEAD_BYTES:].decode(errors="replace"), int.from_bytes(payload[1:3], "big")
            )
            for payload in payloads
            if payload[:1] == self._wanted and len(payload) >= _HEAD_BYTES
        ]


Wire = Lines | Frames


def at_device(framing: str) -> Wire:
    """Return the device's end of a framing, for its simulator."""
    return Frames(_REQUEST) if framing == "frame" else Lines(b"\r\n")
