"""Events keep their author's bytes; what is no event is said to be none."""

import msgspec
import pytest

from shared.core import event as events
from shared.core.event import BODY_BYTES_MAX, HEADER_BYTES_MAX, VERSION, Dot
from shared.errors import BadFrame
from tests.shared.making import event


def test_an_event_reads_back_as_it_was_written() -> None:
    made = event("a.1", 3, {"a.1": 2, "b.1": 7})
    assert events.read(made.header_bytes, made.body_bytes) == made
    assert made.dot == Dot("a.1", 3)
    assert made.size == len(made.header_bytes) + len(made.body_bytes)


def test_fields_of_a_later_version_survive_in_the_bytes() -> None:
    fields = msgspec.msgpack.decode(event("a.1", 1).header_bytes)
    fields[0] = VERSION + 1
    longer = msgspec.msgpack.encode([*fields, {"new": "field"}])
    read = events.read(longer, b"\x80")
    assert read.header.v == VERSION + 1
    assert read.header_bytes == longer


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe garbage", id="garbage"),
        pytest.param(msgspec.msgpack.encode([1, "a.1", 1]), id="too short"),
        pytest.param(event("a.1", 1).header_bytes[:-3], id="truncated"),
        pytest.param(event("a.1", 0).header_bytes, id="number 0"),
        pytest.param(event("", 1).header_bytes, id="no origin"),
        pytest.param(bytes(HEADER_BYTES_MAX + 1), id="too long"),
    ],
)
def test_what_is_no_header_is_refused(header: bytes) -> None:
    with pytest.raises(BadFrame):
        events.read(header, b"\x80")


def test_a_header_nested_without_end_is_refused() -> None:
    fields = msgspec.msgpack.encode([*msgspec.msgpack.decode(event("a.1", 1).header_bytes), 0])
    deep = fields[:-1] + b"\x91" * 5000 + b"\xc0"
    with pytest.raises(BadFrame):
        events.read(deep, b"\x80")


@pytest.mark.parametrize("at", [-1, 2**63, 2**64 - 1])
def test_a_stamp_that_no_database_holds_is_refused(at: int) -> None:
    """Promise 6: it would fail with everybody's writes of the same group."""
    fields = msgspec.msgpack.decode(event("a.1", 1).header_bytes)
    fields[3] = at
    with pytest.raises(BadFrame):
        events.read(msgspec.msgpack.encode(fields), b"\x80")


def test_a_body_over_the_limit_is_refused() -> None:
    header = event("a.1", 1).header_bytes
    events.read(header, bytes(BODY_BYTES_MAX))
    with pytest.raises(BadFrame) as caught:
        events.read(header, bytes(BODY_BYTES_MAX + 1))
    assert caught.value.code == 4413


def test_an_origin_is_device_and_incarnation() -> None:
    assert events.device_of("robot-1.north.0a1b2c") == "robot-1.north"
    assert events.incarnation_of("robot-1.north.0a1b2c") == "0a1b2c"
