"""Conflicts and losses: rows that follow the fold."""

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import conflict_id
from shared.core.kinds.equipment import EQUIPMENT, MACHINE, PERSON, Report
from shared.store import conflicts
from shared.store.journal import Verdict
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, Clock, Node, close, meet, open_node, reporting

ID = conflict_id(SITE, "equipment", "press-1", PERSON)


def site() -> tuple[Node, Node, Node]:
    """Return a hub and two agents that know the press."""
    clock = Clock()
    hub = open_node("hub", "hub", clock=clock)
    agents = [open_node("agent", name, clock=clock) for name in ("a", "b")]
    hub.report(GREEN)
    meet(*agents, hub=hub)
    return hub, agents[0], agents[1]


def test_a_conflict_opens_closes_and_opens_again() -> None:
    """Promise 4; the same id on every node."""
    hub, a, b = site()
    a.report(RED, "jam")
    b.report(YELLOW, "odd")
    meet(a, b, hub=hub)
    assert hub.conflicts() == a.conflicts() == b.conflicts() == [(ID, "open")]
    a.report(GREEN, "cleared")
    meet(a, b, hub=hub)
    assert hub.conflicts() == a.conflicts() == b.conflicts() == [(ID, "resolved")]
    ((who, when),) = hub.reading.query("SELECT resolved_by, resolved_at FROM conflicts")
    assert (who, when) == ("at a", a.clock.ms)
    a.report(RED)
    b.report(GREEN)
    meet(a, b, hub=hub)
    ((status, who, since),) = hub.reading.query("SELECT status, resolved_by, since FROM conflicts")
    assert (status, who) == ("open", None)
    assert since > when


def test_what_lost_is_kept_for_ever() -> None:
    """Nothing is overwritten: history names the change that hid each."""
    hub, a, b = site()
    red, yellow = a.report(RED, "jam"), b.report(YELLOW, "odd")
    meet(a, b, hub=hub)
    a.report(GREEN)
    meet(a, b, hub=hub)
    for node in (hub, a, b):
        losses = node.reading.query("SELECT origin, seq, to_origin, to_seq FROM losses")
        assert losses == [
            (yellow.header.origin, yellow.header.seq, red.header.origin, red.header.seq)
        ]


def test_equal_reports_are_no_conflict_and_nobody_loses() -> None:
    hub, a, b = site()
    a.report(RED, "jam")
    b.report(RED, "jam")
    meet(a, b, hub=hub)
    assert len(hub.reading.record("equipment", "press-1").register(PERSON).siblings) == 2
    assert hub.conflicts() == []
    assert hub.reading.query("SELECT * FROM losses") == []


def test_a_driver_never_ends_a_persons_conflict() -> None:
    hub, a, b = site()
    a.report(RED, "jam")
    b.report(YELLOW, "odd")
    meet(a, b, hub=hub)
    a.write(reporting(GREEN, register=MACHINE, actor="plc"))
    meet(a, b, hub=hub)
    assert hub.conflicts() == [(ID, "open")]


def test_a_sibling_that_is_refused_takes_its_conflict_along() -> None:
    """✗ stored row, closed by a write that saw all: one sibling refused, row open for ever."""
    hub, a, b = site()
    b.report(RED, "leak")
    meet(b, hub=hub)
    a.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.name",  # not what the register takes: the hub refuses it
            subject="press-1",
            register=PERSON,
            body=Report(GREEN),
            actor="x",
        )
    )
    meet(a, b, hub=hub)
    assert [(seq, verdict) for seq, verdict, _ in a.verdicts()] == [(1, Verdict.REFUSED)]
    assert hub.conflicts() == []
    assert (ID, "open") not in a.conflicts()
    assert a.shown() == b.shown() == hub.shown()


def test_a_person_resolves_with_what_was_seen() -> None:
    hub, a, b = site()
    a.report(RED, "jam")
    b.report(YELLOW, "odd")
    meet(a, b, hub=hub)
    value = {"state": "yellow", "reason": "odd noise, keep running"}
    kind, body = EQUIPMENT.resolution(PERSON, value)
    b.write(
        lambda tx: tx.append(
            site=SITE, kind=kind, subject="press-1", register=PERSON, body=body, actor="eve"
        )
    )
    meet(a, b, hub=hub)
    for node in (hub, a, b):
        assert node.conflicts() == [(ID, "resolved")]
        assert node.shown().reason == "odd noise, keep running"
        assert node.reading.query("SELECT resolved_by FROM conflicts") == [("eve",)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abhAB"), st.sampled_from([RED, GREEN])), max_size=12))
def test_rows_always_equal_what_registers_say(steps: list[tuple[str, object]]) -> None:
    """Writes at any node, syncs of a (A) and b (B) in between, in any order."""
    hub, a, b = site()
    nodes = {"h": hub, "a": a, "b": b}
    for who, state in steps:
        if who in nodes:
            nodes[who].report(state)  # type: ignore[arg-type] # sampled above
        else:
            meet(nodes[who.lower()], hub=hub)
        for node in nodes.values():
            record = node.reading.record("equipment", "press-1")
            is_open = conflicts.is_open(EQUIPMENT, record.register(PERSON))
            assert ((ID, "open") in node.conflicts()) == is_open
            ((shown,),) = node.reading.query("SELECT state FROM equipment WHERE id = 'press-1'")
            assert shown == node.shown().state
    meet(a, b, hub=hub)
    assert hub.shown() == a.shown() == b.shown()
    for node in nodes.values():
        close(node)
