"""A pause: who may say it of what, and how it reaches every device of a site."""

from collections.abc import Callable
from functools import partial

import pytest

from shared.core.kinds import queue as kind
from shared.core.kinds.queue import Paused
from shared.store.transaction import Transaction
from tests.shared.nodes import SITE, Clock, Node, meet, open_node


def saying(
    paused: bool, *, subject: str = f"{SITE}:wait", register: str = kind.PAUSED
) -> Callable[[Transaction], object]:
    def write(tx: Transaction) -> object:
        return tx.append(
            site=SITE,
            kind="queue.paused",
            subject=subject,
            register=register,
            body=Paused(paused, "lunch"),
            actor="ada",
        )

    return write


def rows(node: Node) -> list[tuple[object, ...]]:
    return node.reading.query("SELECT id, site, type, paused, reason FROM queues ORDER BY id")


def test_a_pause_said_anywhere_reaches_all_devices_of_the_site_and_the_latest_word_counts() -> None:
    """Promise 2."""
    clock = Clock()
    hub = open_node("hub", "hub", clock=clock)
    a, b = (open_node("agent", name, clock=clock) for name in ("a", "b"))
    a.write(saying(True))
    meet(a, b, hub=hub)
    expected = [(f"{SITE}:wait", SITE, "wait", 1, "lunch")]
    assert [rows(node) for node in (a, b, hub)] == [expected] * 3
    clock.ms += 1000
    b.write(saying(True))  # apart from each other: no conflict, the later one shows
    clock.ms += 1000
    a.write(saying(False))
    meet(a, b, hub=hub)
    for node in (a, b, hub):
        assert [row[3] for row in rows(node)] == [0]
        assert node.conflicts() == []
    assert len({kind.view(n.reading.record("queue", f"{SITE}:wait")).etag for n in (a, b)}) == 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"subject": "elsewhere:wait"}, "elsewhere:wait is no queue of"),
        ({"subject": SITE}, f"{SITE} is no queue of"),
        ({"subject": f"{SITE}:No name"}, "is no queue of"),
        ({"register": "name"}, "queue.paused does not change register name"),
    ],
)
def test_the_hub_refuses_what_is_no_queue_of_the_site(wrong: dict[str, str], reason: str) -> None:
    hub, a = open_node("hub", "hub"), open_node("agent", "a")
    a.write(partial(saying(True, **wrong)))
    meet(a, hub=hub)
    ((_, verdict, said),) = a.verdicts()
    assert verdict == 2
    assert said is not None
    assert reason in said
    assert all(paused == 0 for *_, paused, _ in rows(a))
