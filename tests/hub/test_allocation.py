from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from hub import allocation
from hub.allocation import Choice, DeviceState, NoDevice
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation
from shared.core.kinds.task_spec import Edge, On, Priority, Spec
from shared.core.lifecycle import ENDED, Status

IDS = [f"0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3{n}" for n in range(10)]


def device(id_: str, **fields: Any) -> DeviceState:
    known = {
        "site": "demo",
        "incarnation": "aaa",
        "types": frozenset({"command", "wait"}),
        "capabilities": frozenset[str](),
        "connected": True,
        "last_seen_ms": 0,
    }
    return DeviceState(id=id_, **(known | fields))  # type: ignore[arg-type]


def task(
    status: Status = Status.WAITING,
    *,
    site: str = "demo",
    on: str | None = None,
    type: str = "command",  # noqa: A002 - the field's name
    **fields: Any,
) -> Task:
    return Task(
        id=IDS[0],
        site=site,
        spec=Spec(type, {}, Priority.NORMAL, "ada", **fields),
        submitters=("hub",),
        allocation=Allocation("e", 1, on, "aaa") if on else None,
        holders=(on,) if on else (),
        status=status,
        progress=None,
        priority=Priority.NORMAL,
        why_cancel=None,
        created_ms=0,
        updated_ms=0,
    )


R1, R2, R3 = device("r1"), device("r2"), device("r3")
AWAY = device("r4", connected=False)
CLOSING = device("r7", unready="is closing down")
CARRIER = device("r5", capabilities=frozenset({"deliver", "lift"}))
ELSEWHERE = device("r6", site="other")
TABLET = device("t1", types=frozenset[str]())


@pytest.mark.parametrize(
    ("wanted", "devices", "loads", "chosen"),
    [
        (task(), [R1], {}, "r1"),
        (task(), [R3, R2, R1], {}, "r1"),  # ids break ties
        (task(), [R1, R2, R3], {"r1": 2, "r2": 1, "r3": 1}, "r2"),
        (task(), [R1, R2], {"r1": 1}, "r2"),
        (task(), [AWAY, R2], {"r2": 99}, "r2"),
        (task(), [CLOSING, R2], {"r2": 99}, "r2"),
        (task(), [ELSEWHERE, TABLET, R3], {}, "r3"),
        (task(site="other"), [R1, ELSEWHERE], {}, "r6"),
        (task(requires=("lift",)), [R1, CARRIER], {"r5": 9}, "r5"),
        (task(requires=("lift", "deliver")), [R1, CARRIER], {}, "r5"),
        (task(device="r2"), [R1, R2, R3], {"r2": 9}, "r2"),
    ],
)
def test_the_least_loaded_device_that_fits_gets_the_task(
    wanted: Task, devices: list[DeviceState], loads: dict[str, int], chosen: str
) -> None:
    choice = allocation.choose(wanted, devices, loads)
    assert isinstance(choice, Choice)
    assert choice.device.id == chosen
    assert choice.terms["load"] == loads.get(chosen, 0)


@pytest.mark.parametrize(
    ("wanted", "devices", "reason", "about"),
    [
        (task(), [], "no device of demo runs tasks of type command", None),
        (task(), [ELSEWHERE], "no device of demo runs tasks of type command", None),
        (task(type="mqtt"), [R1], "no device of demo runs tasks of type mqtt", None),
        (task(), [AWAY], "r4 is away", "r4"),
        (task(), [CLOSING], "r7 is closing down", "r7"),
        (
            task(),
            [AWAY, device("r7", connected=False)],
            "all 2 devices that could run it are away",
            None,
        ),
        (
            task(requires=("swim",)),
            [R1, AWAY],
            "no device that runs tasks of type command has swim",
            None,
        ),
        (task(device="r9"), [R1], "r9 has never connected to this hub", "r9"),
        (task(device="r4"), [R1, AWAY], "r4 is away", "r4"),
        (task(device="r6"), [ELSEWHERE], "r6 is not a device of demo", "r6"),
        (task(device="t1"), [R1, TABLET], "t1 does not run tasks of type command", "t1"),
        (
            task(device="r5", requires=("swim", "lift", "dive")),
            [CARRIER],
            "r5 does not have dive, swim",
            "r5",
        ),
    ],
)
def test_where_none_fits_the_reason_says_what_is_missing(
    wanted: Task, devices: list[DeviceState], reason: str, about: str | None
) -> None:
    assert allocation.choose(wanted, devices, {}) == NoDevice(reason, about)


@pytest.mark.parametrize("seed", range(5))
def test_a_choice_always_fits_is_never_more_loaded_and_ignores_the_order(seed: int) -> None:
    chance = Random(seed)
    for _ in range(200):
        devices = [_any_device(chance, f"r{n}") for n in range(chance.randint(0, 6))]
        loads = {d.id: chance.randint(0, 3) for d in devices if chance.random() < 0.8}
        wanted = task(
            site=chance.choice(["demo", "other"]),
            type=chance.choice(["command", "wait"]),
            requires=tuple(c for c in "abc" if chance.random() < 0.3),
            device=chance.choice([None, None, "r1"]),
        )
        outcome = allocation.choose(wanted, devices, loads)
        shuffled = chance.sample(devices, len(devices))
        assert allocation.choose(wanted, shuffled, loads) == outcome, f"seed {seed}"
        able = [d for d in devices if _is_able(wanted, d)]
        if isinstance(outcome, NoDevice):
            assert not able, f"seed {seed}"
            assert outcome.reason
            continue
        assert outcome.device in able, f"seed {seed}"
        least = min(loads.get(d.id, 0) for d in able)
        assert loads.get(outcome.device.id, 0) == least, f"seed {seed}"


def _any_device(chance: Random, id_: str) -> DeviceState:
    return device(
        id_,
        site=chance.choice(["demo", "other"]),
        types=frozenset(t for t in ("command", "wait") if chance.random() < 0.6),
        capabilities=frozenset(c for c in "abc" if chance.random() < 0.6),
        connected=chance.random() < 0.7,
    )


def _is_able(wanted: Task, d: DeviceState) -> bool:
    """The rule again, written as the contract says it."""
    return (
        d.connected
        and d.site == wanted.site
        and wanted.spec.type in d.types
        and all(c in d.capabilities for c in wanted.spec.requires)
        and wanted.spec.device in (None, d.id)
    )


def test_dealing_one_by_one_spreads_tasks_evenly() -> None:
    devices, loads = [R1, R2, R3], {"r1": 0, "r2": 4, "r3": 1}
    for _ in range(22):
        choice = allocation.choose(task(), devices, loads)
        assert isinstance(choice, Choice)
        loads[choice.device.id] += 1
    assert loads == {"r1": 9, "r2": 9, "r3": 9}


# ------------------------------------------------------------------ order constraints


def lookup(*before: Task) -> Callable[[str], Task | None]:
    return dict(zip(IDS[1:], before, strict=False)).get


def after(*ons: On) -> Task:
    return task(after=tuple(Edge(IDS[n + 1], on) for n, on in enumerate(ons)))


@pytest.mark.parametrize(
    ("before", "home"),
    [
        ([task(on="r1")], "r1"),
        ([task(Status.RUNNING, on="r1"), task(on="r1")], "r1"),
        ([task(Status.CANCELLING, on="r1")], "r1"),
        ([task(Status.SUCCEEDED, on="r2"), task(on="r1")], "r1"),  # that edge is open
        ([task(on="r1"), task(on="r2")], None),
        ([task(on="r1"), task()], None),
        ([task()], None),
        ([task(Status.UNKNOWN, on="r1")], None),  # a person decides, at the hub
        ([task(Status.DEAD, on="r1")], None),  # it will not open by itself
        ([task(Status.DEAD, on="r2"), task(on="r1")], None),
        ([], None),  # not known
    ],
)
def test_a_successor_goes_only_where_all_that_it_waits_for_is(
    before: list[Task], home: str | None
) -> None:
    successor = after(*[On.SUCCESS] * max(len(before), 1))
    assert allocation.home(successor, lookup(*before)) == home


@pytest.mark.parametrize("status", Status)
def test_an_edge_opens_on_success_or_on_any_end(status: Status) -> None:
    assert allocation.is_open(Edge(IDS[1]), status) is (status is Status.SUCCEEDED)
    assert allocation.is_open(Edge(IDS[1], On.END), status) is (status in ENDED)
