"""What starts and why the rest waits: properties over random task sets, and the index beside it."""

from collections import Counter
from functools import partial
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace

from agent import clearance, schedule
from agent import room as rooms
from agent.backlog import Backlog
from agent.clearance import Asking, Clear, Clearance, Due, Held
from agent.order import order
from agent.room import Room
from agent.schedule import Decision
from shared.core import waiting as waitings
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Check, Edge, Offline, On, Priority
from shared.core.lifecycle import ENDED, Status
from shared.core.waiting import Reason, Waiting
from tests.agent.desk import LIMITS, NOW_MS, Desk, random_task, relieved, task

SEEDS = range(60)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_tasks_under_any_events_keep_every_constraint_and_come_to_an_end(seed: int) -> None:
    """Promise 3; and the backlog hands out exactly what a look at all of them would choose."""
    chance = Random(seed)
    aging_ms = chance.choice((0, 5000))
    desk = Desk(chance, capacity=chance.randrange(1, 5), aging_ms=aging_ms)
    number = 0
    for step in range(400):
        for _ in range(chance.choice((0, 1, 3)) if step < 30 else 0):
            desk.put(random_task(chance, number, list(desk.tasks), desk.now_ms))
            number += 1
        decide_and_check(desk, seed)
        disturb(desk, chance, calm=step > 60)
        if step > 60 and not desk.waiting and not desk.running:
            break
    left = [one.id for one in desk.waiting if not is_stuck(desk, one)]
    assert not left, f"seed {seed}"
    assert len(desk.backlog) == len(desk.waiting), f"seed {seed}"


def disturb(desk: Desk, chance: Random, *, calm: bool) -> None:
    """Let something happen; in the calm, only what brings work to its end."""
    if desk.running and chance.random() < 0.7:
        desk.end_a_run()
    if chance.random() < 0.5:
        desk.permit_one()
    if chance.random() < 0.7:
        desk.answer_one()
    desk.now_ms += chance.choice((0, 0, 1, 900, 2500))
    if calm:
        desk.paused.clear()
        desk.settle_one()
        desk.now_ms += 1000
        return
    if chance.random() < 0.2:
        desk.toggle_pause()
    if chance.random() < 0.2 and desk.waiting:
        one = chance.choice(desk.waiting)
        desk.put(replace(one, priority=chance.choice(list(Priority))))


def is_stuck(desk: Desk, one: Task) -> bool:
    """Say whether a task waits for an edge that never opens, or in a group behind one that does."""
    shut = waitings.why(one, desk.now_ms, desk.status_of)
    if shut is not None:
        return shut.status is Status.BLOCKED
    before = desk.ahead(one)
    return before is not None and is_stuck(desk, desk.tasks[before])


def decide_and_check(desk: Desk, seed: int) -> None:
    room = desk.room()
    whole = desk.decide(desk.waiting, room)
    candidates = desk.candidates(room)
    part = desk.decide(candidates, room)
    assert (part.start, part.ask) == (whole.start, whole.ask), f"seed {seed}"
    assert part.check == whole.check, f"seed {seed}"
    assert (part.doomed, part.expired) == (whole.doomed, whole.expired), f"seed {seed}"
    by_id = {one.id: one for one in desk.waiting}
    parts = (*whole.start, *whole.doomed, *whole.expired, *whole.waits)
    assert Counter(parts) == Counter(by_id.keys()), f"seed {seed}"
    if len(desk.waiting) < 8 or desk.chance.random() < 0.1:  # it looks at each many times
        check_reasons(desk, whole, room, seed)
    for name in whole.start:  # one submitted earlier may still arrive while it runs
        assert desk.ahead(desk.tasks[name]) is None, f"seed {seed}: {name} overtakes in its group"
    desk.apply(part, candidates)
    check_next(desk, seed)
    check_constraints(desk, seed)
    is_idle = not desk.running and not desk.backlog.asking  # else an end or an answer wakes it
    if is_idle and whole.wake_ms is not None:
        wake_ms = desk.backlog.wake_ms(desk.now_ms, desk.room())
        assert wake_ms is not None, f"seed {seed}"
        assert wake_ms <= whole.wake_ms, f"seed {seed}: it would oversleep"


def check_constraints(desk: Desk, seed: int) -> None:
    running = [desk.tasks[name] for name in desk.running]
    assert len(running) <= desk.capacity
    locks = Counter(lock for one in running for lock in one.spec.local_locks)
    assert max(locks.values(), default=0) <= 1, f"seed {seed}"
    groups = Counter(one.spec.group for one in running if one.spec.group is not None)
    assert max(groups.values(), default=0) <= 1, f"seed {seed}"
    for one in running:
        assert bool(one.spec.checks) <= isinstance(desk.said_yes.get(one.id), int), f"seed {seed}"
        assert one.spec.asks_hub <= (one.permit is not None), f"seed {seed}"
        for edge in one.spec.after:
            status = desk.tasks[edge.task].status
            is_open = status is Status.SUCCEEDED or (edge.on is On.END and status in ENDED)
            assert is_open, f"seed {seed}"
    for type_, allowed in LIMITS.items():
        if allowed.concurrency is not None:
            assert sum(one.spec.type == type_ for one in running) <= allowed.concurrency
        if allowed.rate is not None:
            at = [ms for _, other, ms in desk.started if other == type_]
            for first, beyond in zip(at, at[allowed.rate.count :], strict=False):
                assert beyond - first >= allowed.rate.per_s * 1000, f"seed {seed}"


def check_next(desk: Desk, seed: int) -> None:
    """A hub is told of those that would start next, and that it cannot explain by itself."""
    free = [
        one
        for one in desk.waiting
        if waitings.why(one, desk.now_ms, desk.status_of) is None and not is_over(desk, one)
    ]
    ready = [one for one in free if desk.ahead(one) is None]
    ready.sort(key=lambda one: order(one, desk.now_ms, desk.aging_ms))
    for count in (1, 3, 1000):
        found = [one.id for one in desk.backlog.next(count, desk.now_ms)]
        assert found[: len(ready)] == [one.id for one in ready][:count], f"seed {seed}"
        rest = {one.id for one in free} - {one.id for one in ready}
        assert set(found[len(ready) :]) <= rest, f"seed {seed}"
        assert len(found) == min(count, len(free)), f"seed {seed}"


def is_over(desk: Desk, one: Task) -> bool:
    expiry = waitings.expiry(one)
    return expiry is not None and expiry.at_ms <= desk.now_ms


def check_reasons(desk: Desk, decision: Decision, room: Room, seed: int) -> None:
    """Each reason is true: it alone keeps the task, and with all of them gone the task goes.

    That the room is full is told only of a task that nothing else keeps, so the others get room.
    """
    after = room
    taken = [desk.tasks[name] for name in (*decision.start, *decision.check)]
    for one in sorted(taken, key=lambda one: order(one, desk.now_ms, desk.aging_ms)):
        if one.id in decision.check:
            after = rooms.with_asking(after, one)
        else:
            after = rooms.with_run(after, one, desk.now_ms)
    for name in decision.ask:
        after = rooms.with_request(after, desk.tasks[name])
    for name, wait in decision.waits.items():
        one = desk.tasks[name]
        if name in decision.ask:
            one = replace(one, start_asked=one.next_claim)
        words = frozenset(reason.reason for reason in wait.reasons)
        assert words
        room = after if "busy" in words else replace(after, capacity=after.capacity + 1)
        assert goes(desk, one, room, words), f"seed {seed}: {name} {wait.reasons}"
        for kept in words:
            alone = goes(desk, one, room, words - {kept})
            assert not alone, f"seed {seed}: {name} goes in spite of {kept}: {wait.reasons}"
        assert explained(desk, one, after) == wait, f"seed {seed}"


def goes(desk: Desk, one: Task, room: Room, gone: frozenset[str]) -> bool:
    one, room, statuses, is_first = relieved(desk, one, room, gone)
    decision = schedule.decide(
        desk.now_ms,
        [one],
        room,
        status_of=statuses.get,
        ahead=(lambda _: None) if is_first else desk.ahead,
    )
    return one.id in (*decision.start, *decision.ask, *decision.check)


def explained(desk: Desk, one: Task, room: Room) -> Waiting | None:
    return schedule.explain(
        one,
        desk.now_ms,
        room,
        status_of=desk.status_of,
        ahead=desk.ahead,
        is_ours=lambda _: True,
        device="robot-1",
    )


# ------------------------------------------------------------------ order


@pytest.mark.parametrize(("aging_ms", "starts"), [(900_000, True), (0, False)])
def test_a_flood_of_high_does_not_starve_what_has_waited_long(aging_ms: int, starts: bool) -> None:
    """End to end through the index: one run a minute, and a new ``high`` task each minute."""
    desk = Desk(Random(1), capacity=1, aging_ms=aging_ms)
    desk.put(task("low", type_="z", priority=Priority.LOW))
    for minute in range(60):
        desk.now_ms = NOW_MS + minute * 60_000
        high = task(f"h{minute}", type_="z", priority=Priority.HIGH, created_ms=desk.now_ms)
        desk.put(high)
        decide_and_check(desk, seed=1)
        if "low" in desk.running:
            break
        desk.move(desk.running.pop(), Status.SUCCEEDED)
    assert ("low" in desk.running) == starts
    assert not starts or desk.now_ms - NOW_MS == 2 * aging_ms


def test_waiting_lifts_into_high_and_never_into_critical() -> None:
    low = task("a", priority=Priority.LOW)
    hour = 3_600_000
    levels = [order(low, NOW_MS + n * hour, hour)[0] for n in range(5)]
    assert levels == [3, 2, 1, 1, 1]
    assert order(task("b", priority=Priority.CRITICAL), NOW_MS, hour)[0] == 0
    assert order(low, NOW_MS - hour, hour)[0] == 3  # a wall clock set back lifts nobody
    assert order(low, NOW_MS + hour, 0)[0] == 3


def test_a_time_that_a_task_asked_for_is_not_waiting() -> None:
    later = task("a", priority=Priority.LOW, not_before_ms=NOW_MS + 1000)
    assert order(later, NOW_MS + 1500, 1000)[0] == 3
    assert order(later, NOW_MS + 2000, 1000)[0] == 2


def test_among_equals_the_earlier_deadline_goes_first_then_submission() -> None:
    made = [
        task("none", created_ms=NOW_MS - 9),
        task("late", deadline_ms=NOW_MS + 9),
        task("soon", deadline_ms=NOW_MS + 1),
        task("old-none", created_ms=NOW_MS - 10),
    ]
    names = [one.id for one in sorted(made, key=lambda one: order(one, NOW_MS, 0))]
    assert names == ["soon", "late", "old-none", "none"]


# ------------------------------------------------------------------ the index


def test_a_candidate_is_handed_out_once_until_it_is_restored() -> None:
    backlog = Backlog()
    backlog.put(task("a"), NOW_MS, {})
    backlog.put(task("b", priority=Priority.LOW), NOW_MS, {})
    assert handed(backlog, 1) == ["a"]
    assert handed(backlog, 5) == ["b"]
    assert handed(backlog, 5) == []
    backlog.restore("a", NOW_MS)
    assert handed(backlog, 5) == ["a"]
    backlog.remove("a")
    backlog.restore("a", NOW_MS)
    assert handed(backlog, 5) == []


def test_a_changed_priority_moves_a_task() -> None:
    backlog = Backlog()
    for name in ("a", "b"):
        backlog.put(task(name), NOW_MS, {})
    backlog.put(replace(task("b"), priority=Priority.HIGH), NOW_MS, {})
    assert handed(backlog, 5) == ["b", "a"]


def test_an_earlier_member_of_a_group_that_arrives_later_goes_first() -> None:
    backlog = Backlog()
    backlog.put(task("b", group="g", created_ms=NOW_MS), NOW_MS, {})
    backlog.put(task("a", group="g", created_ms=NOW_MS - 1), NOW_MS, {})
    assert handed(backlog, 5) == ["a"]
    backlog.remove("a")  # it runs, and is the first of its group until it ends
    assert handed(backlog, 5) == []
    backlog.heard("a", Status.UNKNOWN, NOW_MS)
    assert handed(backlog, 5) == []
    backlog.heard("a", Status.DEAD, NOW_MS)
    assert handed(backlog, 5) == ["b"]


def test_an_earlier_member_that_arrives_while_a_later_one_runs_waits_for_it() -> None:
    """Promise 3: one at a time, and only then in order (the simulator found them both running)."""
    room = rooms.with_runs(Room(5), [task("b", group="g", created_ms=NOW_MS)])
    first = task("a", group="g", created_ms=NOW_MS - 1)
    backlog = Backlog()
    backlog.join("b", (first.site, "g"), NOW_MS, NOW_MS)
    backlog.put(first, NOW_MS, {})
    assert backlog.candidates(NOW_MS, room) == []
    waits = schedule.why(first, NOW_MS, room, status_of=lambda _: None, ahead=backlog.groups.ahead)
    assert [(one.reason, one.ref) for one in waits.reasons] == [("group", "b")]
    backlog.heard("b", Status.SUCCEEDED, NOW_MS)
    assert [one.id for one in backlog.candidates(NOW_MS, Room(5))] == ["a"]


def test_a_rate_says_when_to_look_again() -> None:
    desk = Desk(Random(1), capacity=9)
    for name in "abcd":
        desk.put(task(name, type_="y"))
    decide_and_check(desk, seed=1)
    assert desk.running == ["a", "b", "c"]
    assert desk.candidates(desk.room()) == []
    assert desk.backlog.wake_ms(desk.now_ms, desk.room()) == NOW_MS + 20_000
    desk.now_ms += 20_000
    decide_and_check(desk, seed=1)
    assert desk.running == ["a", "b", "c", "d"]


def test_no_more_ask_for_permits_than_could_run() -> None:
    """Else a device without link would journal a request for each of thousands."""
    desk = Desk(Random(1), capacity=2)
    for number in range(10):
        desk.put(task(f"r{number}", type_="z", offline=Offline.RELEASE))
        desk.put(task(f"l{number}", type_="z", locks=("lift",)))
    for _ in range(5):
        decide_and_check(desk, seed=1)
    asked = sorted(one.id for one in desk.waiting if one.start_asked is not None)
    assert asked == ["l0", "l1", "r0", "r1"]
    desk.put(desk.permit(desk.tasks["r1"]))
    decide_and_check(desk, seed=1)
    assert desk.running == ["r1"]


def handed(backlog: Backlog, capacity: int) -> list[str]:
    return [one.id for one in backlog.candidates(NOW_MS, Room(capacity))]


# ------------------------------------------------------------------ reasons


@pytest.mark.parametrize(
    ("one", "status", "reason", "message"),
    [
        (task("a"), Status.QUEUED, "busy", "2 tasks run at robot-1, at most 2 may"),
        (task("a", device=None), Status.BLOCKED, "device", "the hub has not chosen a device yet"),
        (task("a", device="robot-2"), Status.QUEUED, "busy", "robot-2 has it"),
        (task("a", after=(Edge("z"),)), Status.BLOCKED, "after", "z is not known here"),
        (
            task("a", not_before_ms=NOW_MS + 1),
            Status.SCHEDULED,
            "not_before",
            "not before 2026-09-21T14:13:20.001Z",
        ),
        (
            task("a", retry_ms=NOW_MS + 1),
            Status.SCHEDULED,
            "retry",
            "next attempt at 2026-09-21T14:13:20.001Z",
        ),
        (task("a", locks=("local:arm",)), Status.BLOCKED, "lock", "r holds local:arm"),
        (task("a", group="g"), Status.BLOCKED, "group", "q is before it in group g"),
        (
            asked := task("a", offline=Offline.RELEASE),
            Status.QUEUED,
            "busy",
            "2 tasks run at robot-1",
        ),
        (
            replace(asked, start_asked=asked.next_claim),
            Status.BLOCKED,
            "device",
            "waits for the hub's permit",
        ),
        (
            replace(task("a", locks=("lift",)), start_asked=asked.next_claim),
            Status.BLOCKED,
            "lock",
            "waits for the hub to grant lift",
        ),
        (task("a", type_="y"), Status.QUEUED, "paused", "the queue y is paused: lunch"),
    ],
)
def test_explain_gives_the_reason_that_holds(
    one: Task, status: Status, reason: str, message: str
) -> None:
    waiting = explain(one, Room(2, ("r", "s"), holders={"local:arm": "r"}))
    assert waiting is not None
    assert waiting.status is status
    ((found, text),) = [(r.reason, r.message) for r in waiting.reasons]
    assert found == reason
    assert text.startswith(message)


def test_every_reason_that_holds_is_told() -> None:
    one = task(
        "a",
        type_="y",
        after=(Edge("z"),),
        not_before_ms=NOW_MS + 1,
        group="g",
        locks=("local:arm",),
    )
    waiting = explain(one, Room(2, ("r",), holders={"local:arm": "r"}))
    assert waiting is not None
    words = [reason.reason for reason in waiting.reasons]
    assert words == ["after", "not_before", "group", "paused", "lock"]
    assert waiting.status is Status.BLOCKED


def test_explain_of_a_device_that_runs_nothing_and_of_a_task_that_does_not_wait() -> None:
    waiting = explain(task("a"), Room(0))
    assert waiting is not None
    assert waiting.status is Status.BLOCKED
    assert explain(task("a", status=Status.RUNNING), Room(1)) is None


def explain(one: Task, room: Room) -> Waiting | None:
    return schedule.explain(
        one,
        NOW_MS,
        replace(room, paused={("demo", "y"): "lunch"}, device="robot-1"),
        status_of=lambda _: None,
        ahead=lambda other: "q" if other.spec.group else None,
        is_ours=lambda _: True,
        device="robot-1",
    )


NONE_LEFT = (Reason("check", "stock", "stock says no: none left"),)


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (Asking(), "asks stock"),
        (Held(NOW_MS + 1, NONE_LEFT), "stock says no: none left"),
        (Held(NOW_MS - 1, NONE_LEFT), "stock says no: none left"),
        (Due(NONE_LEFT), "stock says no: none left"),
        (clearance.asking(Due(NONE_LEFT)), "stock says no: none left"),
        (clearance.asking(Held(NOW_MS, NONE_LEFT)), "stock says no: none left"),
        (clearance.asking(Clear(NOW_MS - 1)), "asks stock"),
    ],
)
def test_what_third_parties_said_last_stands_until_they_say_something_else(
    known: Clearance, words: str
) -> None:
    """✗ While they were asked again a task that was out of stock was about to start."""
    one = task("a")
    one = replace(one, spec=replace(one.spec, checks=(Check("stock", {}),)))
    waiting = explain(one, Room(1, cleared={"a": known}))
    assert waiting is not None
    assert waiting.status is Status.BLOCKED
    assert [reason.message for reason in waiting.reasons] == [words]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type_": "y"}, "robot-1 runs no tasks of type y, and no hub is set up here"),
        ({"requires": ("lift",)}, "robot-1 does not have lift, and no hub is set up here"),
        ({"locks": ("door",)}, "only a hub can give leave to start it, and none is set up here"),
        ({}, "robot-1 cannot tell alone whether it may start, and no hub is set up here"),
    ],
)
def test_without_a_hub_nobody_is_said_to_choose_a_device(
    fields: dict[str, Any], words: str
) -> None:
    one = replace(task("a", **fields), allocation=None)
    alone = schedule.Alone(frozenset({"x"}), frozenset())
    given = partial(
        schedule.explain,
        one,
        NOW_MS,
        Room(1),
        status_of=lambda _: None,
        ahead=lambda _: None,
        is_ours=lambda _: True,
        device="robot-1",
    )
    waiting = given(alone=alone)
    assert waiting is not None
    assert waiting.reasons[0].message.startswith(words)
    waiting = given()  # with one
    assert waiting is not None
    assert waiting.reasons[0].message == "the hub has not chosen a device yet"
    waiting = given(hub_is_here=False)
    assert waiting is not None
    assert waiting.reasons[0].message.startswith("the hub is out of reach")


def test_who_waits_for_the_hub_is_told_that_it_is_out_of_reach() -> None:
    given = partial(
        schedule.explain,
        now_ms=NOW_MS,
        room=Room(1),
        ahead=lambda _: None,
        is_ours=lambda _: True,
        device="robot-1",
        hub_is_here=False,
    )
    asks = task("a", locks=("lift",))
    asks = replace(asks, start_asked=asks.next_claim)
    after = task("b", after=(Edge("x"),))
    for one, words in (
        (asks, ["waits for the hub to grant lift", "the hub is out of reach"]),
        (replace(after, allocation=None), ["x is dead", "the hub is out of reach, and"]),
        (after, ["x is dead"]),
    ):
        waiting = given(one, status_of=lambda _: Status.DEAD)
        assert waiting is not None
        assert waiting.status is Status.BLOCKED
        told = [reason.message for reason in waiting.reasons]
        assert len(told) == len(words)
        assert all(said.startswith(word) for said, word in zip(told, words, strict=True))


def test_without_a_hub_what_is_for_another_device_stays_where_it_is() -> None:
    one = task("a")
    one = replace(one, allocation=None, spec=replace(one.spec, device="robot-2"))
    waiting = schedule.explain(
        one,
        NOW_MS,
        Room(1),
        status_of=lambda _: None,
        ahead=lambda _: None,
        is_ours=lambda _: True,
        device="robot-1",
        alone=schedule.Alone(frozenset({"x"}), frozenset()),
    )
    assert waiting is not None
    assert waiting.reasons[0] == Reason(
        "device", "robot-2", "it is for robot-2, and no hub is set up here to give it there"
    )
