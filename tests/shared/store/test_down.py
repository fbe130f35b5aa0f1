"""The way down: bases from the hub's feed, what is pending above them, verdicts."""

from typing import Any

import pytest

from shared.core import vector as vectors
from shared.core.kinds.equipment import PERSON, Named, Report
from shared.core.kinds.task import read
from shared.core.kinds.task_bodies import Allocation, Attempt, Progress, Seat
from shared.core.kinds.task_bodies import Outcome as AttemptOutcome
from shared.core.lifecycle import Status
from shared.errors import BadFrame
from shared.store import down, exchange, feed
from shared.store.journal import Verdict
from shared.sync.frame import Down, RegisterState
from shared.sync.pieces import Chunk
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, Clock, Node, Session, meet, open_node, push, reporting
from tests.shared.store.derived import differences
from tests.shared.tasks import ID, SPEC_BODY

CONTROL, RECORDS = 0, 1


def site(*names: str) -> tuple[Node, ...]:
    """Return a hub and agents, all of one time."""
    clock = Clock()
    return tuple(
        open_node("hub" if name == "hub" else "agent", name, clock=clock) for name in names
    )


def chunk(hub: Node, agent: Node, *, lane: int = RECORDS) -> Down:
    """Return what the hub would send an agent now."""
    held = down.lanes(agent.reading).get(lane, down.Lane())
    found: Chunk = feed.read(
        hub.reading, device=agent.name, site=SITE, lane=lane, cursor=held.cursor
    )
    return Down(
        lane,
        held.cursor,
        found.upto,
        found.position,
        found.judged,
        found.registers,
        found.verdicts,
    )


def take(agent: Node, given: Down) -> int:
    return agent.write(lambda tx: down.take(tx, given))


def state_of(agent: Node) -> object:
    """Return all that a chunk may change."""
    record = agent.reading.record("equipment", "press-1")
    return record, down.lanes(agent.reading), agent.conflicts()


def renamed(node: Node, name: str) -> None:
    """Write what the hub refuses, though it shows here: a name in the state's register."""
    node.clock.ms += 1000
    node.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.name",
            subject="press-1",
            register="name",
            body=Named(name),
            actor="ann",
        )
    )


def refused(node: Node) -> None:
    """Report what shows here and what the hub refuses: the kind is not the register's."""
    node.clock.ms += 1000
    node.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.name",
            subject="press-1",
            register=PERSON,
            body=Report(GREEN, "all is well"),
            actor="eve",
        )
    )


# ------------------------------------------------------------------ bases and cursors


def test_a_chunk_and_its_cursor_come_together() -> None:
    hub, agent = site("hub", "a")
    hub.report(RED)
    given = chunk(hub, agent)
    assert take(agent, given) == hub.store.node.position
    assert agent.shown() == hub.shown()
    assert down.lanes(agent.reading)[RECORDS].cursor == given.upto


def test_a_chunk_taken_twice_changes_nothing() -> None:
    hub, agent = site("hub", "a")
    hub.report(RED)
    given = chunk(hub, agent)
    take(agent, given)
    before = state_of(agent)
    take(agent, given)
    assert state_of(agent) == before


def test_an_old_chunk_that_comes_late_changes_nothing() -> None:
    """✗ accept any: an older state would replace a newer one."""
    hub, agent = site("hub", "a")
    hub.report(RED)
    old = chunk(hub, agent)
    hub.report(GREEN)
    take(agent, chunk(hub, agent))
    before = state_of(agent)
    take(agent, old)
    assert state_of(agent) == before
    assert agent.shown().state is GREEN


def test_an_older_state_does_not_replace_a_newer_base() -> None:
    """✗ >= cursor only: a duplicate @0 replaces base @1."""
    hub, agent = site("hub", "a")
    hub.report(RED)
    old = chunk(hub, agent)
    hub.report(GREEN)
    new = chunk(hub, agent)
    behind = Down(RECORDS, 0, 0, new.position, {}, new.registers, [])
    take(agent, behind)  # states came, the cursor did not move: a chunk of a long backlog
    take(agent, old)
    assert agent.shown().state is GREEN


def test_a_chunk_that_leaves_a_gap_is_refused() -> None:
    hub, agent = site("hub", "a")
    hub.report(RED)
    given = Down(RECORDS, 5, 9, 9, {}, [], [])
    with pytest.raises(BadFrame) as caught:
        take(agent, given)
    assert caught.value.code == 4409
    assert down.lanes(agent.reading) == {}


def test_a_state_that_is_none_stores_nothing_of_its_chunk() -> None:
    hub, agent = site("hub", "a")
    hub.report(RED)
    given = chunk(hub, agent)
    bad = RegisterState("equipment", "press-2", SITE, PERSON, b"\xc1 garbage")
    with pytest.raises(BadFrame):
        take(agent, Down(RECORDS, 0, 9, 9, {}, [*given.registers, bad], []))
    assert not agent.reading.record("equipment", "press-1").is_known


def test_the_lanes_have_cursors_of_their_own() -> None:
    hub, agent = site("hub", "a")
    hub.report(RED)
    take(agent, chunk(hub, agent, lane=0))
    assert down.lanes(agent.reading).keys() == {0}
    take(agent, chunk(hub, agent))
    assert down.lanes(agent.reading).keys() == {0, RECORDS}


# ------------------------------------------------------------------ pending and verdicts


def test_own_writes_show_above_a_base_that_does_not_hold_them() -> None:
    hub, agent = site("hub", "a")
    hub.report(GREEN)
    take(agent, chunk(hub, agent))
    agent.report(RED, "leak")
    hub.report(YELLOW, "odd")
    take(agent, chunk(hub, agent))
    assert agent.shown().state is RED
    assert [status for _, status in agent.conflicts()] == ["open"]
    assert hub.shown().state is YELLOW


def test_a_refusal_shows_again_what_it_had_hidden() -> None:
    """✗ author folds into the one record: ``H:1=red, A:1{H:1}`` refused: x is empty at A."""
    hub, agent = site("hub", "a")
    hub.report(RED, "leak")
    meet(agent, hub=hub)
    refused(agent)
    assert agent.shown().state is GREEN, "until the hub has spoken"
    meet(agent, hub=hub)
    assert agent.shown() == hub.shown()
    assert agent.shown().state is RED
    ((seq, verdict, reason),) = agent.verdicts()
    assert (seq, verdict) == (1, Verdict.REFUSED)
    assert reason


def test_after_a_refusal_the_author_writes_on_without_a_false_conflict() -> None:
    """✗ refused dots are not seen: A learns of it, writes ``A:2{}``: false conflict A:1/A:2."""
    hub, agent, other = site("hub", "a", "b")
    hub.report(RED, "leak")
    meet(agent, hub=hub)
    refused(agent)
    meet(agent, other, hub=hub)
    seen = agent.report(YELLOW).header.seen
    assert vectors.covers(seen, agent.origin, 1)
    meet(agent, other, hub=hub)
    assert agent.shown() == other.shown() == hub.shown()
    assert hub.conflicts() == []


def test_a_refused_write_of_something_unknown_leaves_nothing_shown() -> None:
    hub, agent = site("hub", "a")
    agent.write(
        lambda tx: tx.append(
            site=SITE,
            kind="task.status",
            subject=ID,
            register="status",
            body=Progress(Status.SUCCEEDED),
            actor="eve",
        )
    )
    meet(agent, hub=hub)
    assert agent.reading.record("task", ID).register("status").siblings == ()
    assert [v for _, v, _ in agent.verdicts()] == [Verdict.REFUSED]


def test_pending_ends_with_the_judged_frontier_not_with_a_message() -> None:
    """✗ only a received refusal ends "pending": judged, not in the base: dead."""
    hub, agent = site("hub", "a")
    hub.report(RED, "leak")
    meet(agent, hub=hub)
    refused(agent)
    push(agent, hub)
    given = chunk(hub, agent)
    take(agent, Down(RECORDS, 0, given.upto, given.position, given.judged, given.registers, []))
    assert agent.shown().state is RED


def test_a_parked_write_stays_in_its_authors_sight() -> None:
    """✗ parked is invisible: an author loses sight of his write."""
    hub, agent, other = site("hub", "a", "b")
    other.report(RED, "leak")
    meet(other, hub=hub)
    meet(agent, hub=hub)
    far = open_node("hub", "far", clock=hub.clock)  # a hub that does not know what b wrote
    agent.report(GREEN, "fixed")
    Session(agent, far).run()
    assert far.verdicts() != []
    assert far.verdicts()[-1][1] == Verdict.PARKED
    held = agent.reading.record("equipment", "press-1").register(PERSON)
    assert "fixed" in str([e.body_bytes for e in held.siblings + held.parked])


def test_an_old_verdict_of_one_lane_does_not_replace_a_newer_of_another() -> None:
    """✗ the last that comes is the last that was said: applied, and waits for ever."""
    hub, agent, other = site("hub", "a", "b")
    other.report(RED, "leak")
    meet(other, agent, hub=hub)
    far = open_node("hub", "far", clock=hub.clock)  # a hub that does not know what b wrote
    agent.write(lambda tx: down.adopt(tx, "far"))
    agent.report(GREEN, "fixed")
    push(agent, far)
    old = chunk(far, agent)
    push(other, far)
    take(agent, chunk(far, agent, lane=CONTROL))
    take(agent, old)
    assert [note.verdict for note in old.verdicts] == [Verdict.PARKED]
    assert agent.verdicts() == []


def test_own_writes_stay_shown_while_a_long_backlog_arrives() -> None:
    """Promise 1: applied at the hub, in the backlog, but not in the chunk that has come so far."""
    hub, agent = site("hub", "a")
    hub.report(GREEN)
    meet(agent, hub=hub)
    refused(agent)
    agent.report(RED, "leak")
    push(agent, hub)  # the writes reach the hub; its answers do not come back
    for part in range(4):
        hub.group(*(reporting(GREEN, of=f"p-{part}-{n}") for n in range(300)))
    hub.report(RED, "leak seen by two")
    given = chunk(hub, agent)
    assert given.upto < given.position, "this is the first of several chunks"
    take(agent, given)
    assert agent.shown().state is RED
    meet(agent, hub=hub)
    assert agent.shown() == hub.shown()


def test_a_backlog_of_own_writes_survives_chunks_that_do_not_hold_them() -> None:
    hub, agent, other = site("hub", "a", "b")
    hub.report(GREEN)
    meet(agent, other, hub=hub)
    for number in range(30):
        agent.report(RED if number % 2 else YELLOW, f"{number}")
        if number % 10 == 0:
            other.report(GREEN, f"b {number}")
            meet(other, hub=hub)
            take(agent, chunk(hub, agent))
            shown = agent.reading.record("equipment", "press-1").register(PERSON).siblings
            assert agent.origin in {e.header.origin for e in shown}
    meet(agent, other, hub=hub)
    assert agent.shown() == other.shown() == hub.shown()


# ------------------------------------------------------------------ epochs


def test_another_epoch_forgets_cursors_and_keeps_bases_readable() -> None:
    """✗ discard: writes only B's base held are gone."""
    hub, agent = site("hub", "a")
    hub.report(RED, "leak")
    meet(agent, hub=hub)
    before = agent.shown()
    cursors = agent.write(lambda tx: exchange.adopt(tx, "another epoch"))
    assert cursors == {0: 0, 1: 0}
    assert agent.store.node.hub_epoch == "another epoch"
    assert agent.shown() == before
    same = agent.write(lambda tx: exchange.adopt(tx, "another epoch"))
    assert same == cursors


def test_a_new_hub_gets_the_logs_and_the_agent_its_states() -> None:
    hub, agent = site("hub", "a")
    agent.report(RED, "leak")
    meet(agent, hub=hub)
    agent.report(YELLOW, "drips")
    fresh = open_node("hub", "hub", clock=hub.clock, seed=7)
    meet(agent, hub=fresh)
    assert fresh.shown() == agent.shown()
    assert fresh.shown().state is YELLOW
    assert fresh.conflicts() == []


# ------------------------------------------------------------------ what comes with the states


def test_events_of_others_are_kept_for_history_and_their_rows_made() -> None:
    hub, agent = site("hub", "a")
    seat = Allocation(hub.store.node.epoch, 1, "a", agent.origin.rpartition(".")[2])
    for kind, register, body in (
        ("task.submitted", "spec", SPEC_BODY),
        ("task.allocated", "seat", Seat(seat, ("a",))),
    ):
        hub.write(
            lambda tx, kind=kind, register=register, body=body: tx.append(  # type: ignore[misc]
                site=SITE, kind=kind, subject=ID, register=register, body=body, actor="ann"
            )
        )
    meet(agent, hub=hub)
    task = read(agent.reading.record("task", ID))
    assert task is not None
    assert task.allocation == seat
    assert agent.reading.query("SELECT status, device, seated FROM tasks") == [("waiting", "a", 1)]
    assert agent.reading.query("SELECT count(*) FROM journal WHERE hash IS NULL") == [(2,)]
    assert agent.store.node.stamp >= hub.store.node.stamp


def test_an_attempt_whose_end_is_refused_has_begun_all_the_same() -> None:
    """✗ a refusal removes the whole row: the device shows that it never acted."""
    hub, agent, other = site("hub", "a", "b")
    epoch = hub.store.node.epoch
    mine = Allocation(epoch, 1, "a", agent.origin.rpartition(".")[2])
    theirs = Allocation(epoch, 2, "b", other.origin.rpartition(".")[2])

    def write(node: Node, kind: str, register: str, body: Any) -> None:
        node.write(
            lambda tx: tx.append(
                site=SITE, kind=kind, subject=ID, register=register, body=body, actor="ann"
            )
        )

    def begun(given: Allocation) -> Progress:
        return Progress(Status.RUNNING, given, Attempt(f"t-{given.n}", 1, "boot", 5))

    write(hub, "task.submitted", "spec", SPEC_BODY)
    write(hub, "task.allocated", "seat", Seat(mine, ("a",)))
    meet(agent, hub=hub)
    write(agent, "task.status", "status", begun(mine))
    meet(agent, hub=hub)
    write(hub, "task.allocated", "seat", Seat(theirs, ("a", "b")))
    meet(other, hub=hub)
    write(other, "task.status", "status", begun(theirs))
    meet(other, agent, hub=hub)
    ended = Attempt("t-1", 1, "boot", 5, 6, AttemptOutcome.SUCCEEDED)
    write(agent, "task.status", "status", Progress(Status.SUCCEEDED, mine, ended))
    meet(agent, hub=hub)
    assert [v for _, v, _ in agent.verdicts()] == [Verdict.REFUSED]
    shown = "SELECT id, ended_at, outcome FROM attempts ORDER BY id"
    assert agent.reading.query(shown) == [("t-1", None, None), ("t-2", None, None)]
    assert agent.reading.query(shown) == hub.reading.query(shown)
    assert differences(agent.db) == []


def test_a_name_arrives_like_any_register() -> None:
    hub, agent, other = site("hub", "a", "b")
    hub.report(GREEN)
    meet(agent, other, hub=hub)
    renamed(agent, "Press One")
    renamed(other, "Press 1")
    meet(agent, other, hub=hub)
    assert agent.shown() == other.shown() == hub.shown()
    assert hub.shown().name == "Press 1"
