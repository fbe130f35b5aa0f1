"""The way up: stretches of logs, in order, again, overlapping, with gaps and from impostors."""

import msgspec
import pytest

from shared.core import chain
from shared.core.event import Event, Pair
from shared.core.kinds.equipment import PERSON
from shared.core.kinds.task_bodies import Allocation, Attempt, Progress, Seat
from shared.core.lifecycle import Status
from shared.errors import BadFrame
from shared.store import judge, up
from shared.store.journal import Verdict
from shared.sync.frame import BATCH_EVENTS_MAX, Forked, Head, Stored, Up
from tests.shared.making import GREEN, RED, YELLOW, event
from tests.shared.nodes import SITE, Node, open_node, reporting
from tests.shared.tasks import ID, SPEC_BODY


def log(*found: Event) -> list[tuple[Event, bytes]]:
    """Return events with the chain hash before each."""
    digest, made = chain.GENESIS, []
    for each in found:
        made.append((each, digest))
        digest = chain.link(digest, each.header_bytes, each.body_bytes)
    return made


def stretch(of: list[tuple[Event, bytes]], first: int, last: int) -> Up:
    """Return events ``first`` to ``last`` of a log, counted from 1."""
    part = of[first - 1 : last]
    pairs = [Pair(e.header_bytes, e.body_bytes) for e, _ in part]
    return Up(part[0][0].header.origin, first, part[0][1], pairs)


def take(hub: Node, given: Up, *, device: str = "a") -> Stored | Forked:
    return hub.write(lambda tx: up.take(tx, given, device=device, site=SITE))


def held(hub: Node, origin: str = "a.1") -> int:
    log_ = hub.store.node.logs.get(origin)
    return log_.head if log_ else 0


@pytest.fixture
def hub() -> Node:
    return open_node("hub", "hub")


FIVE = log(*(event("a.1", n, {"a.1": n - 1} if n > 1 else {}, state=RED) for n in range(1, 6)))


def test_a_stretch_is_stored_judged_and_folded(hub: Node) -> None:
    answer = take(hub, stretch(FIVE, 1, 3))
    assert isinstance(answer, Stored)
    assert (answer.origin, answer.head.seq, answer.head.hash) == ("a.1", 3, FIVE[3][1])
    assert hub.reading.record("equipment", "press-1").register(PERSON).siblings == (FIVE[2][0],)


def test_the_same_stretch_again_is_recognised(hub: Node) -> None:
    first = take(hub, stretch(FIVE, 1, 3))
    before = hub.store.node
    assert take(hub, stretch(FIVE, 1, 3)) == first
    assert take(hub, stretch(FIVE, 2, 2)) == Stored("a.1", Head(2, FIVE[2][1]))
    assert hub.store.node.position == before.position
    assert hub.store.node.logs == before.logs


def test_overlapping_stretches_add_what_is_new(hub: Node) -> None:
    take(hub, stretch(FIVE, 1, 3))
    answer = take(hub, stretch(FIVE, 2, 5))
    assert isinstance(answer, Stored)
    assert answer.head.seq == 5
    assert hub.reading.query("SELECT seq FROM journal ORDER BY entry") == [
        (n,) for n in range(1, 6)
    ]


def test_a_gap_is_refused_and_nothing_is_stored(hub: Node) -> None:
    take(hub, stretch(FIVE, 1, 1))
    with pytest.raises(BadFrame) as caught:
        take(hub, stretch(FIVE, 3, 5))
    assert caught.value.code == 4409
    assert held(hub) == 1


def test_a_fork_is_held_apart_and_folded_nowhere(hub: Node) -> None:
    """✗ compare heads by number: ``A:2'`` is taken as already stored: lost. ✗ drop the branch."""
    take(hub, stretch(FIVE, 1, 3))
    before = hub.reading.record("equipment", "press-1")
    other = log(FIVE[0][0], event("a.1", 2, {"a.1": 1}, state=YELLOW), event("a.1", 3, {"a.1": 2}))
    assert take(hub, stretch(other, 1, 3)) == Forked("a.1", 2, 3)
    assert hub.reading.record("equipment", "press-1") == before
    assert held(hub) == 3
    apart = hub.reading.query("SELECT origin, seq, header, device FROM held_apart ORDER BY seq")
    assert apart == [("a.1", n, other[n - 1][0].header_bytes, "a") for n in (2, 3)]
    assert take(hub, stretch(other, 1, 3)) == Forked("a.1", 2, 3), "and again"
    assert hub.reading.query("SELECT count(*) FROM held_apart") == [(2,)]


def test_a_fork_is_found_at_the_head_too(hub: Node) -> None:
    take(hub, stretch(FIVE, 1, 2))
    other = log(FIVE[0][0], event("a.1", 2, state=YELLOW), event("a.1", 3))
    assert take(hub, stretch(other, 3, 3)) == Forked("a.1", 3, 3)
    assert held(hub) == 2


@pytest.mark.parametrize(
    "wrong", [Pair(b"garbage", b""), Pair(event("a.1", 9).header_bytes, b"\x80")]
)
def test_garbage_under_names_that_are_taken_is_no_fork(hub: Node, wrong: Pair) -> None:
    take(hub, stretch(FIVE, 1, 3))
    with pytest.raises(BadFrame):
        take(hub, Up("a.1", 3, FIVE[2][1], [wrong]))
    assert hub.reading.query("SELECT count(*) FROM held_apart") == [(0,)]


@pytest.mark.parametrize(
    ("given", "device"),
    [
        pytest.param(stretch(FIVE, 1, 1), "b", id="another device's log"),
        pytest.param(stretch(FIVE, 1, 1), "a.1", id="a name that only begins like it"),
        pytest.param(Up("", 1, chain.GENESIS, [Pair(b"", b"")]), "", id="no name"),
    ],
)
def test_a_log_of_someone_else_is_refused(hub: Node, given: Up, device: str) -> None:
    """Promise 5."""
    with pytest.raises(BadFrame):
        take(hub, given, device=device)
    assert hub.store.node.logs.keys() == {hub.origin}


def test_nobody_writes_the_hubs_log(hub: Node) -> None:
    hub.report(GREEN)
    forged = log(event(hub.origin, 1, state=RED))
    with pytest.raises(BadFrame):
        take(hub, stretch(forged, 1, 1), device="hub")


def test_one_bad_event_in_a_stretch_stores_nothing_of_it(hub: Node) -> None:
    good = stretch(FIVE, 1, 2)
    for wrong in (
        Pair(b"garbage", b""),
        Pair(event("a.2", 3).header_bytes, b"\x80"),
        Pair(event("a.1", 4).header_bytes, b"\x80"),
    ):
        with pytest.raises(BadFrame):
            take(hub, msgspec.structs.replace(good, events=[*good.events, wrong]))
    assert held(hub) == 0
    assert not hub.reading.record("equipment", "press-1").is_known


def test_a_batch_is_bounded_and_continues(hub: Node) -> None:
    node = open_node("agent", "a")
    node.group(*(reporting(RED, "x", of=f"p-{n}") for n in range(600)))
    mine = node.store.node.logs[node.origin]
    first = up.read(node.reading, mine, 0)
    assert len(first.events) == BATCH_EVENTS_MAX
    second = up.read(node.reading, mine, BATCH_EVENTS_MAX)
    assert (second.first, len(second.events)) == (1001, 200)
    assert up.read(node.reading, mine, 1200).events == []
    for part in (first, second):
        take(hub, Up(part.origin, part.first, part.previous, part.events))
    assert held(hub, node.origin) == 1200


def test_a_large_event_goes_alone(hub: Node) -> None:
    node = open_node("agent", "a")
    large = msgspec.structs.replace(SPEC_BODY, payload={"x": "y" * 300_000})
    for number in range(2):
        node.write(
            lambda tx, number=number: tx.append(  # type: ignore[misc]
                site=SITE,
                kind="task.submitted",
                subject=f"{ID}{number}",
                register="spec",
                body=large,
                actor="ann",
            )
        )
    mine = node.store.node.logs[node.origin]
    first = up.read(node.reading, mine, 0)
    second = up.read(node.reading, mine, len(first.events))
    assert (len(first.events), len(second.events)) == (1, 1)


# ------------------------------------------------------------------ verdicts


def shown(hub: Node) -> list[str]:
    siblings = hub.reading.record("equipment", "press-1").register(PERSON).siblings
    return sorted(f"{e.header.origin}:{e.header.seq}" for e in siblings)


def test_an_event_waits_for_what_its_author_had_seen(hub: Node) -> None:
    """✗ judge at once: the hub would cover what it never saw."""
    take(hub, stretch(log(event("b.1", 1, {"a.1": 1})), 1, 1), device="b")
    assert hub.verdicts() == [(1, Verdict.PARKED, "waits for a.1 1")]
    assert shown(hub) == []
    take(hub, stretch(FIVE, 1, 1))
    assert hub.verdicts() == []
    assert shown(hub) == ["b.1:1"]


def test_a_chain_of_dependencies_comes_free_at_once(hub: Node) -> None:
    take(hub, stretch(log(event("c.1", 1, {"a.1": 1, "b.1": 1})), 1, 1), device="c")
    take(hub, stretch(log(event("b.1", 1, {"a.1": 1})), 1, 1), device="b")
    assert [v for _, v, _ in hub.verdicts()] == [Verdict.PARKED, Verdict.PARKED]
    take(hub, stretch(FIVE, 1, 2))
    assert hub.verdicts() == []
    assert hub.store.node.parked == 0
    # c:1 had seen a:1 and b:1, but not a:2
    assert shown(hub) == ["a.1:2", "c.1:1"]


def test_what_was_superseded_while_it_waited_does_not_resurrect(hub: Node) -> None:
    """✗ ``A:1`` parked, ``A:2{A:1}``, upgrade or arrival: ``A:1`` folded, and back again."""
    waiting = event("b.1", 1, {"a.1": 1}, state=RED)
    newer = event("b.1", 2, {"b.1": 1})
    take(hub, stretch(log(waiting, newer), 1, 2), device="b")
    assert shown(hub) == ["b.1:2"]
    take(hub, stretch(FIVE, 1, 1))
    assert shown(hub) == ["a.1:1", "b.1:2"]
    assert hub.verdicts() == []


def test_what_is_not_known_is_parked_and_relayed_as_it_came(hub: Node) -> None:
    for number, kind in enumerate(("equipment.painted", "crane.swung", "nothing"), 1):
        strange = event(f"a.{number}", 1, kind=kind, body={"by": "a later version"})
        take(hub, stretch(log(strange), 1, 1))
    assert [v for _, v, _ in hub.verdicts()] == [Verdict.PARKED] * 3
    held_ = hub.reading.record("equipment", "press-1").register(PERSON)
    assert [e.body_bytes for e in held_.parked] == [
        msgspec.msgpack.encode({"by": "a later version"})
    ]


REFUSED = {
    "another site": event("a.1", 1, site="elsewhere"),
    "seen itself": event("a.1", 1, {"a.1": 1}),
    "invalid body": event("a.1", 1, body={"state": "purple"}),
    "body is no msgpack": msgspec.structs.replace(event("a.1", 1), body_bytes=b"\xc1"),
    "body nested without end": msgspec.structs.replace(
        event("a.1", 1, kind="task.submitted", register="spec", subject=ID),
        body_bytes=msgspec.msgpack.encode(SPEC_BODY)[:-1] + b"\x91" * 5000,
    ),
    "wrong register": event("a.1", 1, register="name"),
    "no such task": event(
        "a.1", 1, kind="task.status", register="status", subject=ID, body=Progress(Status.RUNNING)
    ),
}


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED.keys())
def test_one_bad_event_is_refused_and_never_blocks_its_log(hub: Node, given: Event) -> None:
    """Promise 6."""
    good = event("a.1", 2, state=RED)
    take(hub, stretch(log(given, good), 1, 2))
    assert [(seq, v) for seq, v, _ in hub.verdicts()] == [(1, Verdict.REFUSED)]
    assert hub.verdicts()[0][2]
    assert shown(hub) == ["a.1:2"]


def test_numbers_that_no_column_holds_are_refused_and_spoil_no_other_write(hub: Node) -> None:
    """Promise 6: a flush that fails would fail with everybody's writes of the same group."""
    seat = Allocation(None, 0, "a", "1")
    attempt = Attempt("t-1", 1, "boot", 2**63)
    given = log(
        event("a.1", 1, kind="task.submitted", register="spec", subject=ID, body=SPEC_BODY),
        event(
            "a.1", 2, kind="task.allocated", register="seat", subject=ID, body=Seat(seat, ("a",))
        ),
        event(
            "a.1",
            3,
            kind="task.status",
            register="status",
            subject=ID,
            body=Progress(Status.RUNNING, seat, attempt),
        ),
    )
    bad, good = hub.group(
        lambda tx: up.take(tx, stretch(given, 1, 3), device="a", site=SITE), reporting(RED)
    ).outcomes
    assert (bad.error, good.error) == (None, None)
    assert [(seq, v) for seq, v, _ in hub.verdicts()] == [(3, Verdict.REFUSED)]


def test_an_id_that_another_site_uses_is_refused() -> None:
    hub = open_node("hub", "hub", sites=(SITE, "south"))
    take(hub, stretch(FIVE, 1, 1))
    forged = log(event("b.1", 1, site="south"))
    hub.write(lambda tx: up.take(tx, stretch(forged, 1, 1), device="b", site="south"))
    assert hub.verdicts() == [(1, Verdict.REFUSED, "press-1 belongs to another site")]


def test_judging_again_finds_nothing_to_do_without_news(hub: Node) -> None:
    take(hub, stretch(log(event("b.1", 1, {"a.1": 1})), 1, 1), device="b")
    before = hub.store.node.position
    hub.write(lambda tx: judge.again(tx, SITE))
    assert hub.store.node.position == before


def test_events_that_reach_the_hub_in_any_order_give_one_record() -> None:
    """Promise 2."""
    a = [event("a.1", 1, state=RED), event("a.1", 2, {"a.1": 1, "b.1": 1})]
    b = [event("b.1", 1, state=YELLOW), event("b.1", 2, {"b.1": 1, "a.1": 1}, state=RED)]
    found = set()
    for order in ("aabb", "abab", "abba", "bbaa", "baba", "baab"):
        hub = open_node("hub", "hub")
        sent = {"a": 0, "b": 0}
        for name in order:
            sent[name] += 1
            mine = log(*(a if name == "a" else b))
            take(hub, stretch(mine, sent[name], sent[name]), device=name)
        assert hub.verdicts() == []
        found.add(tuple(shown(hub)))
    assert found == {("a.1:2", "b.1:2")}
