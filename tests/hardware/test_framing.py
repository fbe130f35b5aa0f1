"""Frames are found whatever happens to the bytes around them."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.framing import FRAME_BYTES_MAX, PAYLOAD_BYTES_MAX, START, Framer, encode

payloads = st.binary(min_size=1, max_size=PAYLOAD_BYTES_MAX)
quiet_noise = st.binary(max_size=200).map(lambda noise: noise.replace(bytes((START,)), b"\0"))


def feed_in_pieces(framer: Framer, stream: bytes, seed: int) -> list[bytes]:
    chance = random.Random(seed)
    found: list[bytes] = []
    at = 0
    while at < len(stream):
        end = at + chance.randint(1, 40)
        found += framer.feed(stream[at:end])
        at = end
    return found


def test_a_frame_looks_as_documented() -> None:
    assert encode(b"123456789")[:2] == bytes((0xA5, 9))
    # An independent bitwise CRC-16/CCITT-FALSE.
    crc = 0xFFFF
    for byte in b"\x01P":
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    assert encode(b"P") == b"\xa5\x01P" + crc.to_bytes(2, "big")


@pytest.mark.parametrize("payload", [b"", bytes(PAYLOAD_BYTES_MAX + 1)])
def test_a_payload_that_fits_no_frame_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="1 to 64 bytes"):
        encode(payload)


@given(st.lists(payloads, max_size=10), st.integers(0, 2**32))
def test_frames_arrive_whole_however_they_are_split(sent: list[bytes], seed: int) -> None:
    framer = Framer()
    assert feed_in_pieces(framer, b"".join(map(encode, sent)), seed) == sent
    assert not framer.partial
    assert framer.noise_bytes == 0


@given(st.lists(st.tuples(quiet_noise, payloads), max_size=6), quiet_noise, st.integers(0, 2**32))
def test_noise_between_frames_costs_no_frame(
    sent: list[tuple[bytes, bytes]], tail: bytes, seed: int
) -> None:
    stream = b"".join(noise + encode(payload) for noise, payload in sent) + tail
    framer = Framer()
    assert feed_in_pieces(framer, stream, seed) == [payload for _, payload in sent]
    assert framer.noise_bytes == sum(len(noise) for noise, _ in sent) + len(tail)


@given(st.binary(max_size=300), payloads, st.integers(0, 2**32))
def test_any_noise_hides_a_frame_at_most_until_the_next_gap(
    noise: bytes, payload: bytes, seed: int
) -> None:
    framer = Framer()
    found = feed_in_pieces(framer, noise + encode(payload), seed) + framer.gap()
    assert payload in found
    assert not framer.partial


@given(payloads, st.data())
def test_a_frame_with_a_flipped_bit_is_not_taken(payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(encode(payload))
    bit = data.draw(st.integers(0, 8 * len(frame) - 1))
    frame[bit // 8] ^= 1 << bit % 8
    framer = Framer()
    found = framer.feed(bytes(frame)) + framer.gap()
    assert payload not in found


@given(st.binary(max_size=5000), st.integers(0, 2**32))
def test_less_than_one_frame_is_kept(noise: bytes, seed: int) -> None:
    chance = random.Random(seed)
    framer = Framer()
    at = 0
    while at < len(noise):
        end = at + chance.randint(1, 300)
        framer.feed(noise[at:end])
        assert len(framer._pending) < FRAME_BYTES_MAX
        at = end


def test_a_start_byte_inside_a_broken_frame_is_tried() -> None:
    broken = encode(b"first")[:-1]
    framer = Framer()
    assert framer.feed(broken + encode(b"second") + encode(b"third")) == [b"second", b"third"]
