"""Frames: what is none is said to be none, whatever it costs the sender to make."""

import random
from typing import Any

import msgspec
import pytest
from backports import zstd

from shared.core.event import Pair
from shared.errors import BadFrame
from shared.sync.frame import (
    BATCH_EVENTS_MAX,
    COMPRESS_FROM,
    FRAME_BYTES_MAX,
    Bye,
    DeviceStatus,
    Down,
    Follow,
    Forked,
    Frame,
    Head,
    Hello,
    RegisterState,
    Status,
    Stored,
    Taken,
    Up,
    VerdictNote,
    Welcome,
    decode,
    encode,
)

STATUS = DeviceStatus(3, "synced", "0.1", ("command",), ("lift",), 1, 10**12, 1_700_000_000_000)
FRAMES: list[Frame] = [
    Hello(1, "a", "1", "demo", {"a.1": Head(3, b"h")}, STATUS),
    Welcome(1, "hub", "e1", {"a.1": Head(3, b"h")}, {"a.1": b"h"}, ("task",)),
    Follow({0: 5, 1: 0}),
    Up("a.1", 1, bytes(32), [Pair(b"header", b"body")]),
    Stored("a.1", Head(3, b"h")),
    Forked("a.1", 2),
    Down(
        1,
        0,
        9,
        9,
        {"a.1": 3},
        [RegisterState("equipment", "x", "demo", "name", b"s")],
        [VerdictNote("a.1", 2, 2, "no")],
    ),
    Taken(1, 9),
    Status(STATUS),
    Bye(1000, "done"),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: type(f).__name__)
def test_a_frame_reads_back(frame: Frame) -> None:
    assert decode(encode(frame)) == frame


def test_large_frames_are_compressed_and_small_ones_are_not() -> None:
    large = Up("a.1", 1, bytes(32), [Pair(b"header" * 20, b"body" * 100)] * 100)
    assert encode(large)[:1] == b"\x01"
    assert len(encode(large)) < 1000
    assert decode(encode(large)) == large
    assert encode(Bye(1, "x"))[:1] == b"\x00"
    assert decode(b"\x01" + zstd.compress(encode(Bye(1, "x"))[1:])) == Bye(1, "x")
    assert COMPRESS_FROM > 0


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: type(f).__name__)
def test_unknown_fields_are_ignored_so_that_a_newer_side_may_add_some(frame: Frame) -> None:
    fields = msgspec.msgpack.decode(encode(frame)[1:])
    assert decode(packed({**fields, "later": {"more": [1]}})) == frame


def packed(value: Any) -> bytes:
    return b"\x00" + msgspec.msgpack.encode(value)


PLAIN = encode(Bye(1000, "x"))
GARBAGE = {
    "empty": b"",
    "packing of a later version": b"\x02" + PLAIN[1:],
    "text": b"GET / HTTP/1.1",
    "no msgpack": b"\x00\xc1",
    "truncated": PLAIN[:-2],
    "trailing": PLAIN + b"\x00",
    "frame of a later version": packed({"type": "hallo", "x": 1}),
    "no type": packed({"code": 1, "reason": "x"}),
    "list": packed([1, 2]),
    "number": packed(7),
    "wrong type": packed({"type": "bye", "code": "x", "reason": "x"}),
    "missing field": packed({"type": "bye", "code": 1}),
    "negative": packed({"type": "taken", "lane": 1, "upto": -1}),
    "number 0": packed(
        {"type": "up", "origin": "a", "first": 0, "previous": b"", "events": [[b"", b""]]}
    ),
    "no events": packed({"type": "up", "origin": "a", "first": 1, "previous": b"", "events": []}),
    "a cursor before the start": packed({"type": "follow", "cursors": {0: -1}}),
    "too many events": packed(
        {
            "type": "up",
            "origin": "a",
            "first": 1,
            "previous": b"",
            "events": [[b"", b""]] * (BATCH_EVENTS_MAX + 1),
        }
    ),
    "bad utf-8": packed({"type": "bye", "code": 1}).replace(b"\x82", b"\x83", 1)
    + b"\xa6reason\xa1\xff",
    "no zstd": b"\x01garbage",
    "zstd that ends too early": b"\x01" + zstd.compress(b"x" * 1000)[:-3],
    "nested without end": b"\x00\x82\xa4type\xa3bye\xa5later" + b"\x91" * 100_000 + b"\xc0",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(BadFrame) as caught:
        decode(data)
    assert caught.value.code == 4400
    assert str(caught.value)


def test_too_large_a_frame_is_refused_by_its_size() -> None:
    with pytest.raises(BadFrame) as caught:
        decode(bytes(FRAME_BYTES_MAX + 1))
    assert caught.value.code == 4413


@pytest.mark.parametrize("size", [FRAME_BYTES_MAX + 1, 1 << 30])
def test_a_bomb_is_refused_without_being_unpacked(size: int) -> None:
    """A kilobyte or so that unpacks to a gigabyte: memory stays within the bound."""
    compressor = zstd.ZstdCompressor(level=19)
    block = bytes(1 << 20)
    parts = [compressor.compress(block) for _ in range(size >> 20)]
    parts.append(compressor.compress(block[: size & 0xFFFFF]))
    parts.append(compressor.flush(zstd.ZstdCompressor.FLUSH_FRAME))
    bomb = b"\x01" + b"".join(parts)
    assert len(bomb) < FRAME_BYTES_MAX
    with pytest.raises(BadFrame) as caught:
        decode(bomb)
    assert caught.value.code == 4413


def test_random_bytes_are_never_more_than_a_bad_frame() -> None:
    chance = random.Random(7)
    refused = 0
    for _ in range(3000):
        data = bytearray(encode(chance.choice(FRAMES)))
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            decode(bytes(data))
        except BadFrame:
            refused += 1
    assert refused > 1000, "most changes break a frame"
