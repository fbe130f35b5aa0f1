"""What a piece of equipment shows."""

from itertools import product

import msgspec
import pytest
from hypothesis import given

from shared.core import record as records
from shared.core.event import Event
from shared.core.ids import conflict_id
from shared.core.kinds.equipment import (
    BODIES,
    EQUIPMENT,
    MACHINE,
    PERSON,
    Attribute,
    Created,
    Named,
    Report,
    Retired,
    State,
    attributes,
    exists,
    in_conflict,
    is_retired,
    name,
    view,
)
from shared.core.record import Record
from shared.core.register import EMPTY, Register, fold, park
from shared.errors import Invalid
from tests.shared.making import GREEN, NOW_MS, RED, YELLOW, History, event, fold_all, histories

CREATED = event("a.1", 1, kind="equipment.created", register="created", body=Created())
NOTHING = Record("equipment", "press-1")


def record(**of: list[Event]) -> Record:
    """Return a created record; registers by name with ``_`` for a dot."""
    made = records.with_register(NOTHING, "created", fold(EMPTY, CREATED), "demo")
    for register_name, found in of.items():
        register = register_name.replace("_", ".")
        made = records.with_register(made, register, fold_all(found), "demo")
    return made


def retired(origin: str, seq: int, value: bool, **more: int) -> Event:
    body = Retired(value)
    return event(origin, seq, kind="equipment.retired", register="retired", body=body, **more)  # type: ignore[arg-type]


SEVERITY = [None, GREEN, YELLOW, RED]


@pytest.mark.parametrize(("person", "machine"), list(product(SEVERITY, SEVERITY)))
def test_the_more_severe_report_shows_and_both_are_told(
    person: State | None, machine: State | None
) -> None:
    """A driver never replaces what a person said."""
    made = record(
        state_person=[event("a.1", 2, state=person, actor="ann")] if person else [],
        state_machine=[event("g.1", 1, state=machine, actor="plc", at_ms=NOW_MS + 9)]
        if machine
        else [],
    )
    shown = view(made)
    assert shown.state == SEVERITY[max(SEVERITY.index(person), SEVERITY.index(machine))]
    assert (shown.reports.person and shown.reports.person.state) == person
    assert (shown.reports.machine and shown.reports.machine.state) == machine
    if person and person == machine:
        assert shown.actor == "ann", "of equal reports the person's shows"
    assert shown.conflicts == []
    if machine:
        assert shown.reported_at == "2023-11-14T22:13:20.009Z"


def test_two_opinions_show_the_worse_and_the_conflict() -> None:
    made = record(
        state_person=[event("a.1", 2, state=RED), event("b.1", 1, state=GREEN, at_ms=NOW_MS + 5)]
    )
    shown = view(made)
    assert shown.state is RED
    assert shown.device == "a"
    assert shown.conflicts == [conflict_id("demo", "equipment", "press-1", PERSON)]


def test_equal_opinions_are_no_conflict() -> None:
    body = Report(RED, "leak")
    made = record(state_person=[event("a.1", 2, body=body), event("b.1", 1, body=body)])
    assert len(made.register(PERSON).siblings) == 2
    assert view(made).conflicts == []


def test_the_same_state_with_another_reason_is_a_conflict() -> None:
    made = record(state_person=[event("a.1", 2, state=RED), event("b.1", 1, state=RED)])
    assert in_conflict(made, PERSON)


def test_what_is_not_understood_is_a_conflict() -> None:
    held = park(fold(EMPTY, event("a.1", 2)), event("b.1", 1, body={"state": "purple"}))
    made = records.with_register(record(), PERSON, held, "demo")
    assert in_conflict(made, PERSON)
    assert view(made).state is GREEN


def test_a_machine_may_disagree_with_itself_after_a_clone() -> None:
    made = record(state_machine=[event("g.1", 1, state=RED), event("h.1", 1, state=GREEN)])
    assert view(made).conflicts == [conflict_id("demo", "equipment", "press-1", MACHINE)]


def test_nothing_reported_shows_nothing() -> None:
    shown = view(record())
    assert (shown.state, shown.changed_at, shown.actor, shown.device) == (None,) * 4
    assert exists(record())
    assert not exists(NOTHING)


def test_stale_is_separate_from_state() -> None:
    made = record(state_machine=[event("g.1", 1, state=GREEN)])
    assert (view(made, stale=True).state, view(made, stale=True).stale) == (GREEN, True)


def test_a_report_made_while_it_was_retired_is_kept_and_revives_nothing() -> None:
    made = record(retired=[retired("a.1", 3, True)], state_person=[event("b.1", 1, state=RED)])
    assert is_retired(made)
    assert not exists(made)
    assert view(made).state is RED
    assert EQUIPMENT.row(made)[-1] == 1


def test_retiring_can_be_taken_back() -> None:
    back = retired("b.1", 1, False, at_ms=NOW_MS + 1)
    assert exists(record(retired=[retired("a.1", 3, True), back]))


def test_name_and_attributes_show_their_latest() -> None:
    def named(origin: str, text: str | None, at_ms: int) -> Event:
        return event(origin, 9, body=Named(text), kind="equipment.name", at_ms=at_ms)

    def attribute(origin: str, value: str | int | None, at_ms: int) -> Event:
        return event(origin, 9, body=Attribute(value), kind="equipment.attribute", at_ms=at_ms)

    made = record(
        name=[named("a.1", "Press", 1), named("b.1", "Press One", 2)],
        attributes_zone=[attribute("a.1", "hall 2", 3), attribute("b.1", "hall 1", 2)],
        attributes_bore=[attribute("a.1", 7, 1)],
        attributes_gone=[attribute("a.1", 1, 1), attribute("b.1", None, 2)],
    )
    assert name(made) == "Press One"
    assert attributes(made) == {"bore": 7, "zone": "hall 2"}
    assert view(made).conflicts == [], "attributes never conflict"


@given(histories())
def test_every_replica_shows_the_same(history: History) -> None:
    """Promise 2."""
    there = records.with_register(record(), PERSON, fold_all(list(history.events)), "demo")
    back = records.with_register(record(), PERSON, fold_all(list(history.events[::-1])), "demo")
    assert view(there) == view(back)
    states = [
        State(msgspec.msgpack.decode(e.body_bytes)["state"])
        for e in there.register(PERSON).siblings
    ]
    assert view(there).state == max(states, key=SEVERITY.index)


# ------------------------------------------------------------------ what the hub accepts


@pytest.mark.parametrize(
    ("kind", "register", "is_accepted"),
    [
        ("equipment.created", "created", True),
        ("equipment.created", "retired", False),
        ("equipment.retired", "retired", True),
        ("equipment.name", "name", True),
        ("equipment.name", "attributes.name", False),
        ("equipment.attribute", "attributes.zone", True),
        ("equipment.attribute", "zone", False),
        ("equipment.state", PERSON, True),
        ("equipment.state", MACHINE, True),
        ("equipment.state", "state", False),
        ("equipment.state", "created", False),
    ],
)
def test_an_event_changes_its_own_register_only(
    kind: str, register: str, is_accepted: bool
) -> None:
    body = BODIES[kind]
    reason = EQUIPMENT.judge(event("a.1", 1, kind=kind, register=register), body, record, False)
    assert (reason is None) == is_accepted


def test_a_person_resolves_with_a_report() -> None:
    kind, body = EQUIPMENT.resolution(PERSON, {"state": "yellow", "reason": "drips"})
    assert (kind, body) == ("equipment.state", Report(YELLOW, "drips"))
    for wrong in ({"state": "purple"}, {}, None, 7):
        with pytest.raises(Invalid):
            EQUIPMENT.resolution(PERSON, wrong)


def test_a_report_of_one_register_says_nothing_of_the_other() -> None:
    held: Register = fold_all([event("a.1", 2)])
    assert EQUIPMENT.policy(PERSON) is EQUIPMENT.policy(MACHINE) is not None
    assert EQUIPMENT.policy("name") is None
    assert held.parked == ()
