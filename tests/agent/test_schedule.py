"""What starts and why the rest waits: properties over random task sets, and the index beside it."""

from collections.abc import Mapping
from random import Random

import msgspec
import pytest

from agent import schedule
from agent.backlog import Backlog
from shared.core.kinds.task import Allocation, Progress, Task
from shared.core.kinds.task_spec import Edge, On, OnFailure, Priority, Spec
from shared.core.lifecycle import ENDED, Status
from shared.core.waiting import Waiting

NOW_MS = 1_790_000_000_000
SEEDS = range(150)


def task(
    name: str,
    *,
    priority: Priority = Priority.NORMAL,
    created_ms: int = NOW_MS,
    after: tuple[Edge, ...] = (),
    not_before_ms: int | None = None,
    retry_ms: int | None = None,
    device: str | None = "robot-1",
    status: Status = Status.WAITING,
) -> Task:
    seat = Allocation(None, 0, device, "a1") if device else None
    progress = Progress(status, seat, not_before_ms=retry_ms) if retry_ms else None
    return Task(
        id=name,
        site="demo",
        spec=Spec("x", {"a": 1}, priority, "ada", after=after, not_before_ms=not_before_ms),
        submitters=("robot-1",),
        allocation=seat,
        holders=(),
        status=status,
        progress=progress,
        priority=priority,
        cancel_asked=False,
        created_ms=created_ms,
        updated_ms=created_ms,
    )


def random_tasks(chance: Random, count: int) -> list[Task]:
    """Return tasks that come after earlier ones, with any priority and time."""
    made: list[Task] = []
    for number in range(count):
        names = [t.id for t in made]
        after = tuple(
            Edge(name, chance.choice(list(On)), chance.choice(list(OnFailure)))
            for name in chance.sample(names, min(len(names), chance.choice((0, 0, 0, 1, 2))))
        )
        later_ms = NOW_MS + chance.choice((-5000, 1000, 60_000))
        made.append(
            task(
                f"t{number:04}",
                priority=chance.choice(list(Priority)),
                created_ms=NOW_MS + chance.randrange(5),
                after=after,
                not_before_ms=later_ms if chance.random() < 0.2 else None,
                retry_ms=later_ms if chance.random() < 0.1 else None,
            )
        )
    chance.shuffle(made)
    return made


def open_edges(one: Task, statuses: Mapping[str, Status]) -> bool:
    return all(
        statuses[e.task] is Status.SUCCEEDED or (e.on is On.END and statuses[e.task] in ENDED)
        for e in one.spec.after
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_any_set_of_tasks_is_run_in_order_and_to_its_end(seed: int) -> None:
    """Promise 3: no order constraint is violated; and the backlog finds what a full look finds."""
    chance = Random(seed)
    made = {t.id: t for t in random_tasks(chance, chance.randrange(1, 40))}
    statuses = dict.fromkeys(made, Status.WAITING)
    capacity = chance.randrange(1, 5)
    backlog = Backlog()
    now_ms = NOW_MS
    for one in made.values():
        backlog.put(one, now_ms, {e.task: statuses[e.task] for e in one.spec.after})
    running: list[str] = []
    for _ in range(1000):
        waiting = [t for i, t in made.items() if statuses[i] is Status.WAITING]
        whole = schedule.decide(now_ms, waiting, running, capacity=capacity, status_of=statuses.get)
        check_decision(whole, waiting, running, capacity, statuses, now_ms)
        seen = backlog.candidates(now_ms, capacity - len(running))
        part = schedule.decide(
            now_ms, seen, running, capacity=capacity, status_of=backlog.status_of
        )
        assert (part.start, part.doomed) == (whole.start, whole.doomed), f"seed {seed}"
        for name in whole.start:
            statuses[name] = Status.RUNNING
            backlog.remove(name)
            running.append(name)
        for name in whole.doomed:
            statuses[name] = Status.CANCELLED
            backlog.remove(name)
            backlog.heard(name, Status.CANCELLED, now_ms)
        if running:
            name = running.pop(chance.randrange(len(running)))
            statuses[name] = chance.choice((Status.SUCCEEDED, Status.SUCCEEDED, Status.DEAD))
            backlog.heard(name, statuses[name], now_ms)
        elif whole.wake_ms is not None:
            assert backlog.wake_ms() == whole.wake_ms
            now_ms = whole.wake_ms
        elif not whole.doomed:
            break
    left = [made[i] for i, s in statuses.items() if s is Status.WAITING]
    assert all(one.spec.after and not open_edges(one, statuses) for one in left), f"seed {seed}"
    assert len(backlog) == len(left)


def check_decision(
    decision: schedule.Decision,
    waiting: list[Task],
    running: list[str],
    capacity: int,
    statuses: Mapping[str, Status],
    now_ms: int,
) -> None:
    by_id = {t.id: t for t in waiting}
    assert len(running) + len(decision.start) <= capacity
    assert {*decision.start, *decision.doomed, *decision.waits} == set(by_id)
    for name in decision.start:
        assert open_edges(by_id[name], statuses)
        assert (by_id[name].spec.not_before_ms or 0) <= now_ms
    for name, wait in decision.waits.items():
        assert wait.reasons
        if wait.status is Status.QUEUED:  # ready, so nobody less urgent may have gone first
            assert len(running) + len(decision.start) == capacity
            worst = max((schedule.order(by_id[s]) for s in decision.start), default=None)
            assert worst is None or worst < schedule.order(by_id[name])
        elif wait.status is Status.BLOCKED:
            assert not open_edges(by_id[name], statuses)


def test_a_candidate_is_handed_out_once_until_it_is_restored() -> None:
    backlog = Backlog()
    backlog.put(task("a"), NOW_MS, {})
    backlog.put(task("b", priority=Priority.LOW), NOW_MS, {})
    assert [t.id for t in backlog.candidates(NOW_MS, 1)] == ["a"]
    assert [t.id for t in backlog.candidates(NOW_MS, 5)] == ["b"]
    assert backlog.candidates(NOW_MS, 5) == []
    backlog.restore("a", NOW_MS)
    assert [t.id for t in backlog.candidates(NOW_MS, 5)] == ["a"]
    backlog.remove("a")
    backlog.restore("a", NOW_MS)
    assert backlog.candidates(NOW_MS, 5) == []


def test_a_changed_priority_moves_a_task() -> None:
    backlog = Backlog()
    for name in ("a", "b"):
        backlog.put(task(name), NOW_MS, {})
    urgent = msgspec.structs.replace(task("b"), priority=Priority.HIGH)
    backlog.put(urgent, NOW_MS, {})
    assert [t.id for t in backlog.candidates(NOW_MS, 5)] == ["b", "a"]


@pytest.mark.parametrize(
    ("one", "status", "reason", "message"),
    [
        (task("a"), Status.QUEUED, "busy", "2 tasks run here, at most 2 may"),
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
    ],
)
def test_explain_gives_the_reason_that_holds(
    one: Task, status: Status, reason: str, message: str
) -> None:
    waiting = explain(one, running=("r", "s"), capacity=2)
    assert waiting is not None
    assert waiting.status is status
    assert [(r.reason, r.message) for r in waiting.reasons] == [(reason, message)]


def test_explain_of_a_device_that_runs_nothing_and_of_a_task_that_does_not_wait() -> None:
    waiting = explain(task("a"), running=(), capacity=0)
    assert waiting is not None
    assert waiting.status is Status.BLOCKED
    assert explain(task("a", status=Status.RUNNING), running=(), capacity=1) is None


def explain(one: Task, *, running: tuple[str, ...], capacity: int) -> Waiting | None:
    return schedule.explain(
        one,
        NOW_MS,
        running=running,
        capacity=capacity,
        status_of=lambda _: None,
        is_ours=lambda _: True,
        device="robot-1",
    )
