"""What a listener missed."""

import pytest

from shared.store import changes
from shared.store.changes import Position
from tests.shared.making import GREEN, RED
from tests.shared.nodes import Clock, meet, open_node, reporting


def test_changes_since_a_position_come_once_each_in_order() -> None:
    node = open_node("hub", "hub")
    node.report(GREEN, of="a")
    start = changes.position(node.reading)
    assert changes.since(node.reading, start.number, 10) == []
    node.report(GREEN, of="b")
    node.report(RED, of="a")
    node.report(RED, of="b")
    found = changes.since(node.reading, start.number, 10)
    assert found is not None
    assert [c.subject for c in found] == ["a", "b"]
    assert found[-1].position <= changes.position(node.reading).number


def test_conflicts_and_devices_are_told_too() -> None:
    clock = Clock()
    hub = open_node("hub", "hub", clock=clock)
    a, b = (open_node("agent", name, clock=clock) for name in "ab")
    hub.report(GREEN)
    meet(a, b, hub=hub)
    start = changes.position(hub.reading).number
    a.report(RED)
    b.report(GREEN, "fine")
    meet(a, b, hub=hub)
    found = changes.since(hub.reading, start, 10)
    assert found is not None
    assert {c.kind for c in found} == {"equipment", "conflict", "device"}


def test_too_much_is_said_to_be_too_much() -> None:
    node = open_node("hub", "hub")
    node.group(*(reporting(RED, of=f"p-{n}") for n in range(30)))
    assert changes.since(node.reading, 0, 29) is None
    found = changes.since(node.reading, 0, 30)
    assert found is not None
    assert len(found) == 30


def test_a_position_reads_back() -> None:
    assert changes.parse(str(Position("0a1b", 17))) == Position("0a1b", 17)


@pytest.mark.parametrize("text", ["", "17", ":", "zz:1", "0a:", "0a:-1", "0a:1x", "0a:1\n"])
def test_what_is_no_position(text: str) -> None:
    assert changes.parse(text) is None
