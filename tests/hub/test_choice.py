"""Why this robot: zone, way and battery beside capability and load."""

from typing import Any

import pytest

from hub import allocation
from hub.allocation import Battery, Choice, DeviceState, Goal, NoDevice
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Status
from shared.sync.frame import DeviceStatus
from tests.hub.hubs import Hub


def device(id_: str, **fields: Any) -> DeviceState:
    known = {
        "site": "demo",
        "incarnation": "aaa",
        "types": frozenset({"command"}),
        "capabilities": frozenset[str](),
        "connected": True,
        "last_seen_ms": 0,
    }
    return DeviceState(id=id_, **(known | fields))  # type: ignore[arg-type]


def task(**payload: Any) -> Task:
    return Task(
        id="t",
        site="demo",
        spec=Spec("command", payload, Priority.NORMAL, "ada"),
        submitters=("hub",),
        allocation=None,
        holders=(),
        status=Status.WAITING,
        progress=None,
        priority=Priority.NORMAL,
        why_cancel=None,
        created_ms=0,
        updated_ms=0,
    )


HERE = {"x": 0, "y": 0}


@pytest.mark.parametrize(
    ("wanted", "devices", "loads", "chosen"),
    [
        (task(), [device("r1"), device("r2", zone="b")], {}, "r1"),
        (task(zone="b"), [device("r1"), device("r2", zone="b")], {}, "r2"),
        (task(zone="b"), [device("r1"), device("r2", zone="b")], {"r2": 4}, "r2"),
        (task(zone="b"), [device("r1"), device("r2", zone="b")], {"r2": 6}, "r1"),
        (task(at=HERE), [device("r1", x_m=99, y_m=0), device("r2", x_m=3, y_m=4)], {}, "r2"),
        (task(at=HERE), [device("r1"), device("r2", x_m=300, y_m=0)], {}, "r2"),
        (task(at=HERE), [device("r1", x_m=99, y_m=0), device("r2", x_m=0, y_m=0)], {"r2": 3}, "r1"),
        (task(), [device("r1", battery_pct=30), device("r2", battery_pct=90)], {}, "r2"),
        (task(), [device("r1", battery_pct=30), device("r2")], {"r2": 1}, "r1"),
        # A payload that says something else by these words is its handler's business.
        (task(zone=7, at="noon"), [device("r1"), device("r2", zone="b")], {}, "r1"),
        (task(at={"x": True, "y": 1e300}), [device("r1"), device("r2", x_m=1, y_m=1)], {}, "r1"),
    ],
)
def test_the_cheapest_device_gets_the_task(
    wanted: Task, devices: list[DeviceState], loads: dict[str, int], chosen: str
) -> None:
    for given in (devices, devices[::-1]):
        choice = allocation.choose(wanted, given, loads)
        assert isinstance(choice, Choice)
        assert choice.device.id == chosen


def test_the_terms_add_up_and_say_what_was_weighed() -> None:
    place = device("r1", zone="b", x_m=30.0, y_m=40.0, battery_pct=80.0)
    terms = allocation.cost_terms(place, 2, Goal("a", (0.0, 0.0)))
    assert terms == {
        "load": 2.0,
        "zone": 1.0,
        "distance_m": 50.0,
        "battery_pct": 80.0,
        "cost": pytest.approx(2 + 5 + 1 + 0.1),
    }
    assert allocation.cost_terms(device("r1"), 0, Goal()) == {"load": 0.0, "cost": 0.0}


def test_a_way_that_nobody_knows_is_not_told_as_if_it_were_known() -> None:
    goal = Goal(at=(0.0, 0.0))
    terms = allocation.cost_terms(device("r1"), 0, goal)
    assert terms == {"load": 0.0, "distance_assumed_m": 500.0, "cost": 10.0}
    here = allocation.cost_terms(device("r2", x_m=0.0, y_m=0.0), 0, goal)
    assert here == {"load": 0.0, "distance_m": 0.0, "cost": 0.0}


def test_a_device_that_would_not_reach_its_charger_gets_nothing_and_says_so() -> None:
    least = Battery(floor_pct=10, pct_per_m=0.1).min_pct(charger_m=100)
    assert least == 20
    low = device("r1", battery_pct=19.0, battery_min_pct=least)
    said = "r1 has 19 % battery and needs 20 % to reach its charger"
    assert allocation.choose(task(), [low], {}) == NoDevice(said, "r1")
    enough = device("r2", battery_pct=20.0, battery_min_pct=least)
    choice = allocation.choose(task(), [low, enough], {"r2": 9})
    assert isinstance(choice, Choice)
    assert choice.device.id == "r2"
    away = device("r3", connected=False)
    outcome = allocation.choose(task(), [low, away], {})
    assert outcome == NoDevice(f"none of 2 can take it now: {said}; r3 is away")


async def test_what_a_device_reports_decides_and_is_kept_with_the_choice(hub: Hub) -> None:
    near = DeviceStatus(0, "synced", "0", ("command",), (), zone="b", battery_pct=50, charger_m=10)
    low = DeviceStatus(0, "synced", "0", ("command",), (), zone="b", battery_pct=5)
    await hub.report("robot-1", low)
    await hub.report("robot-2", near)
    await hub.connect("robot-3")
    task_id = await hub.node.submit(type="command", payload={"argv": ["echo"], "zone": "b"})
    assert await hub.seated(task_id) == "robot-2"
    shown = await hub.view(task_id)
    assert shown.allocation is not None
    assert shown.allocation.terms == {
        "load": 0.0,
        "zone": 0.0,
        "battery_pct": 50.0,
        "cost": 0.25,
        "fitting": 2.0,
    }
