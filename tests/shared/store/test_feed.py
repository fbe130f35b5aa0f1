"""The hub's feed: what concerns a device, in chunks that can be resumed anywhere."""

from collections.abc import Callable

import msgspec
import pytest

from shared.core.kinds.equipment import Created
from shared.core.kinds.task_bodies import Allocation, Seat
from shared.core.kinds.task_spec import Edge, Spec
from shared.store import exchange, feed, up
from shared.store.transaction import Transaction
from shared.sync.frame import BATCH_BYTES_MAX, RegisterState
from shared.sync.pieces import Chunk
from tests.shared.making import GREEN, RED, event
from tests.shared.nodes import SITE, STATUS, Clock, Node, Session, meet, open_node, reporting
from tests.shared.store.test_up import log, stretch
from tests.shared.tasks import SPEC_BODY

CONTROL, RECORDS = 0, 1


@pytest.fixture
def hub() -> Node:
    return open_node("hub", "hub", sites=(SITE, "south"))


def read(hub: Node, cursor: int, *, lane: int = RECORDS, device: str = "a") -> Chunk:
    return feed.read(hub.reading, device=device, site=SITE, lane=lane, cursor=cursor)


def names(chunk: Chunk) -> list[str]:
    return [f"{state.subject} {state.name}" for state in chunk.registers]


def submitted(number: int, *, after: int | None = None, payload: str = "") -> Callable[..., object]:
    edges = (Edge(task_id(after)),) if after is not None else ()
    spec = msgspec.structs.replace(SPEC_BODY, after=edges, payload={"text": payload})
    return appending(number, "task.submitted", "spec", spec)


def seated(number: int, *devices: str) -> Callable[..., object]:
    seat = Seat(Allocation("e1", 1, devices[-1], "1"), devices)
    return appending(number, "task.allocated", "seat", seat)


def appending(
    number: int, kind: str, register: str, body: Spec | Seat
) -> Callable[[Transaction], object]:
    return lambda tx: tx.append(
        site=SITE, kind=kind, subject=task_id(number), register=register, body=body, actor="x"
    )


def task_id(number: int | None) -> str:
    return f"01933b5e-0000-7000-8000-{number or 0:012d}"


def all_chunks(hub: Node, lane: int, device: str = "a") -> tuple[list[Chunk], list[RegisterState]]:
    """Read a lane from its start to its end; return the chunks, and the newest of each state."""
    chunks, found, cursor = [], {}, 0
    for _ in range(100):
        chunk = read(hub, cursor, lane=lane, device=device)
        assert chunk.upto > cursor or chunk.is_last, "no progress"
        chunks.append(chunk)
        found.update({(s.subject, s.name): s for s in chunk.registers})
        cursor = chunk.upto
        if chunk.is_last:
            return chunks, list(found.values())
    pytest.fail("the feed has no end")


def test_each_register_comes_once_as_it_is_now(hub: Node) -> None:
    for state in (GREEN, RED, GREEN):
        hub.report(state)
    chunk = read(hub, 0)
    assert names(chunk) == ["press-1 created", "press-1 state.person"]
    assert chunk.is_last
    assert chunk.upto == hub.store.node.position


def test_nothing_new_is_an_empty_chunk(hub: Node) -> None:
    hub.report(RED)
    chunk = read(hub, hub.store.node.position)
    assert (chunk.registers, chunk.verdicts, chunk.is_last) == ([], [], True)


def test_a_follower_gets_what_changed_since_its_cursor(hub: Node) -> None:
    hub.report(RED)
    cursor = read(hub, 0).upto
    hub.report(GREEN, of="press-2")
    hub.report(GREEN)
    assert names(read(hub, cursor)) == [
        "press-2 created",
        "press-2 state.person",
        "press-1 state.person",
    ]


def test_a_long_backlog_comes_in_bounded_chunks_and_misses_nothing(hub: Node) -> None:
    for part in range(3):
        hub.group(*(reporting(RED, "x" * 1500, of=f"p-{part}-{n}") for n in range(300)))
    chunks, found = all_chunks(hub, RECORDS)
    assert len(chunks) > 3
    assert all(
        sum(len(s.state) for s in chunk.registers) < BATCH_BYTES_MAX + 3000 for chunk in chunks
    )
    assert len(found) == 1800


def test_what_changes_while_it_is_read_comes_in_a_later_chunk(hub: Node) -> None:
    hub.group(*(reporting(GREEN, of=f"p-{n}") for n in range(800)))
    first = read(hub, 0)
    assert not first.is_last
    hub.report(RED, of="p-0")
    hub.report(RED, of="p-799")
    cursor, found = first.upto, {(s.subject, s.name): s for s in first.registers}
    while not (chunk := read(hub, cursor)).is_last or chunk.registers:
        found.update({(s.subject, s.name): s for s in chunk.registers})
        cursor = chunk.upto
    assert len(found) == 1600
    for subject in ("p-0", "p-799"):
        assert b"red" in found[subject, "state.person"].state


def test_another_sites_records_never(hub: Node) -> None:
    """Promise 5."""
    hub.report(RED)
    hub.write(
        lambda tx: tx.append(
            site="south",
            kind="equipment.created",
            subject="far",
            register="created",
            body=Created(),
            actor="x",
        )
    )
    assert {s.subject for s in read(hub, 0).registers} == {"press-1"}
    there = feed.read(hub.reading, device="z", site="south", lane=RECORDS, cursor=0)
    assert {s.subject for s in there.registers} == {"far"}


def test_tasks_concern_those_who_hold_them(hub: Node) -> None:
    hub.group(submitted(1), seated(1, "a"), submitted(2), seated(2, "b"), submitted(3))
    assert names(read(hub, 0, lane=CONTROL)) == [f"{task_id(1)} spec", f"{task_id(1)} seat"]
    assert read(hub, 0, lane=CONTROL, device="c").registers == []
    assert read(hub, 0, lane=RECORDS).registers == []


def test_a_record_that_enters_the_scope_comes_whole(hub: Node) -> None:
    hub.group(submitted(1), submitted(2))
    cursor = read(hub, 0, lane=CONTROL).upto
    hub.group(reporting(RED))
    hub.group(seated(1, "a"))
    assert sorted(names(read(hub, cursor, lane=CONTROL))) == [
        f"{task_id(1)} seat",
        f"{task_id(1)} spec",
    ]


def test_a_predecessor_comes_with_its_successor(hub: Node) -> None:
    hub.group(submitted(1), submitted(2, after=1), seated(1, "b"))
    cursor = read(hub, 0, lane=CONTROL).upto
    hub.group(seated(2, "a"))
    subjects = {s.subject for s in read(hub, cursor, lane=CONTROL).registers}
    assert subjects == {task_id(1), task_id(2)}
    hub.group(seated(1, "b", "c"))
    later = read(hub, cursor, lane=CONTROL).registers
    assert task_id(1) in {s.subject for s in later}, "and its changes follow"


def test_a_former_holder_still_hears(hub: Node) -> None:
    hub.group(submitted(1), seated(1, "a"))
    cursor = read(hub, 0, lane=CONTROL).upto
    hub.group(seated(1, "a", "b"))
    assert names(read(hub, cursor, lane=CONTROL)) == [f"{task_id(1)} seat"]


def test_a_long_backlog_of_tasks_comes_in_bounded_chunks_and_misses_nothing(hub: Node) -> None:
    for part in range(3):
        numbers = range(1 + 300 * part, 301 + 300 * part)
        hub.group(
            *(submitted(n, after=n - 1 if n > 1 else None, payload="x" * 700) for n in numbers),
            *(seated(n, "a" if n % 3 else "b") for n in numbers),
        )
    chunks, found = all_chunks(hub, CONTROL)
    assert len(chunks) > 2
    # 600 of 900 are a's; each of b's, but the last, comes before one of a's
    whole = {s.subject for s in found}
    assert len(whole) == 899
    assert len(found) == 2 * 899


def test_a_chunk_ends_between_records_that_enter_never_within(hub: Node) -> None:
    hub.group(*(submitted(n, payload="x" * 90_000) for n in range(1, 9)))
    cursor = hub.store.node.position
    hub.group(*(seated(n, "a") for n in range(1, 9)))
    by_chunk: list[dict[str, set[str]]] = []
    while len(by_chunk) < 10:
        chunk = read(hub, cursor, lane=CONTROL)
        by_chunk.append({})
        for state in chunk.registers:
            by_chunk[-1].setdefault(state.subject, set()).add(state.name)
        cursor = chunk.upto
        if chunk.is_last:
            break
    assert 1 < len(by_chunk) < 10
    assert sum(len(found) for found in by_chunk) == 8
    assert all(names_ == {"spec", "seat"} for found in by_chunk for names_ in found.values())


# ------------------------------------------------------------------ verdicts and heads


def sends(hub: Node, device: str, *events: object) -> None:
    made = log(*events)  # type: ignore[arg-type] # events
    hub.write(lambda tx: up.take(tx, stretch(made, 1, len(made)), device=device, site=SITE))


def test_an_author_is_told_what_was_refused_and_why(hub: Node) -> None:
    sends(hub, "a", event("a.1", 1), event("a.1", 2, {"a.1": 1}, body={"state": "purple"}))
    note = read(hub, 0).verdicts[0]
    assert (note.origin, note.seq, note.verdict) == ("a.1", 2, 2)
    assert note.reason
    assert read(hub, 0, device="b").verdicts == []
    assert read(hub, 0).judged == {"a.1": 2}


def test_verdicts_of_a_device_whose_name_only_begins_alike_are_not_told(hub: Node) -> None:
    """Names may hold dots: ``a.b`` is another device than ``a``."""
    sends(hub, "a.b", event("a.b.1", 1, body={"state": "purple"}))
    assert [n.origin for n in read(hub, 0, device="a.b").verdicts] == ["a.b.1"]
    assert read(hub, 0, device="a").verdicts == []
    assert read(hub, 0, device="a").judged == {}


def test_a_parked_event_that_comes_free_is_told_again(hub: Node) -> None:
    sends(hub, "b", event("b.1", 1, {"a.1": 1}))
    first = read(hub, 0, device="b")
    assert [(n.seq, n.verdict) for n in first.verdicts] == [(1, 3)]
    sends(hub, "a", event("a.1", 1))
    later = read(hub, first.upto, device="b")
    assert [(n.seq, n.verdict, n.reason) for n in later.verdicts] == [(1, 1, None)]


def test_a_device_is_greeted_with_what_the_hub_holds() -> None:
    clock = Clock()
    hub, agent = open_node("hub", "hub", clock=clock), open_node("agent", "a", clock=clock)
    agent.report(RED)
    hello = exchange.hello(agent.store.node, SITE, STATUS)
    assert hub.write(lambda tx: exchange.greet(tx, hello)).heads == {}
    meet(agent, hub=hub)
    welcome = hub.write(lambda tx: exchange.greet(tx, hello))
    assert welcome.heads == hello.heads
    assert welcome.common == {agent.origin: hello.heads[agent.origin].hash}
    assert welcome.epoch == hub.store.node.epoch
    ((device, last_seen),) = hub.reading.query("SELECT id, last_seen_at FROM devices")
    assert (device, last_seen) == ("a", clock.ms)
    assert Session(agent, hub).run().ended == []
