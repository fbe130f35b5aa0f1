"""What the hub asks for each changed task must not read every task there is."""

import re

import pytest

from hub import (
    booking_keeper,
    deciding,
    evidence,
    gateway,
    granter,
    groups,
    permits,
    resource_rules,
    sitter,
    unique,
)
from hub.round import LOAD
from shared.api import booking_world, bookings, followers
from shared.store import windows
from shared.store.database import sql
from tests.shared.nodes import open_node

QUERIES = {
    "touched": sitter.TOUCHED,
    "released at a device": sitter.RELEASED,
    "asked": granter.ASKED,
    "earlier in its group": groups.EARLIER,
    "who has its group": groups.HELD,
    "who has its key": unique.OTHERS,
    "a success": evidence.SUCCESS,
    "last attempts": evidence.LAST,
    "followers": followers.FOLLOWERS,
    "held by a task": permits.HELD_BY,
    "an outcome": permits.OUTCOME,
    "load": LOAD,
    "bookings that block": booking_world.TAKEN,
    "long bookings that block": booking_world.TAKEN_LONG,
    "until when many are taken": booking_world.UNTIL,
    "bookings of many on a day": booking_world.COUNTS,
    "rules of many": booking_world.RULES,
    "bookings of a resource": bookings.OF_RESOURCE,
    "long bookings of a resource": bookings.LONG[bookings.OF_RESOURCE],
    "long bookings of a person": bookings.LONG[bookings.OF_PERSON],
    "long bookings of all": bookings.LONG[bookings.OF_ALL],
    "bookings of a person": bookings.OF_PERSON,
    "bookings of all": bookings.OF_ALL,
    "bookings that need attention": bookings.OF_ATTENTION,
    "holds that run out": deciding.DUE,
    "the next hold": booking_keeper.NEXT,
    "undecided": deciding.UNDECIDED,
    "flagged": resource_rules.FLAGGED,
    "to open": windows.TO_OPEN,
    "to close": windows.TO_CLOSE,
    "held by a device": gateway.HELD,
}


@pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES.keys())
def test_the_plan_uses_an_index(text: str) -> None:
    node = open_node("hub", "hub")
    text = sql(text)
    count = max((int(n) for n in re.findall(r"\?(\d+)", text)), default=0)
    plan = [row[3] for row in node.db.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * count)]
    assert not [step for step in plan if re.match(r"SCAN \w+$", step)], plan
    assert not [step for step in plan if "tasks_open" in step], plan


@pytest.mark.parametrize("name", [name for name in QUERIES if name.startswith("long bookings")])
def test_the_few_long_bookings_are_not_looked_for_among_all(name: str) -> None:
    node = open_node("hub", "hub")
    text = sql(QUERIES[name])
    count = max(int(n) for n in re.findall(r"\?(\d+)", text))
    (plan,) = [row[3] for row in node.db.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * count)]
    assert "_long" in plan
