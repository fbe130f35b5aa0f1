"""A model of one device's tasks: what is known of them, decided over all of them at each step."""

from collections.abc import Mapping
from random import Random
from typing import Any

from msgspec.structs import replace

from agent import limits, schedule
from agent import room as rooms
from agent.backlog import Backlog
from agent.clearance import Barred, Clear, Clearance, Held
from agent.limits import Limits, Rate
from agent.room import Room
from agent.schedule import Decision
from shared.core import waiting
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Attempt, Permit, Progress
from shared.core.kinds.task_spec import Check, Edge, Offline, On, OnFailure, Priority, Spec
from shared.core.lifecycle import ENDED, Status
from shared.core.waiting import Reason

NOW_MS = 1_790_000_000_000
SEAT = Allocation("e1", 1, "robot-1", "a1")
LIMITS = {"x": Limits(concurrency=2), "y": Limits(rate=Rate(count=3, per_s=20))}
TYPES = ("x", "y", "z")


def task(
    name: str,
    *,
    type_: str = "x",
    priority: Priority = Priority.NORMAL,
    created_ms: int = NOW_MS,
    retry_ms: int | None = None,
    device: str | None = "robot-1",
    status: Status = Status.WAITING,
    **spec: Any,
) -> Task:
    seat = replace(SEAT, device=device) if device else None
    progress = Progress(status, seat, not_before_ms=retry_ms) if retry_ms else None
    return Task(
        id=name,
        site="demo",
        spec=Spec(type_, {"a": 1}, priority, "ada", **spec),
        submitters=("robot-1",),
        allocation=seat,
        holders=(),
        status=status,
        progress=progress,
        priority=priority,
        why_cancel=None,
        created_ms=created_ms,
        updated_ms=created_ms,
    )


def random_task(chance: Random, number: int, earlier: list[str], now_ms: int) -> Task:
    """Return a task that comes after earlier ones, with any wish that a task may have."""

    def at(*offsets_ms: int) -> int:
        return now_ms + chance.choice(offsets_ms)

    def perhaps(probability: float, value: Any) -> Any:
        return value if chance.random() < probability else None

    after = tuple(
        Edge(name, chance.choice(list(On)), chance.choice(list(OnFailure)))
        for name in chance.sample(earlier, min(len(earlier), chance.choice((0, 0, 0, 1, 2))))
    )
    names = ("local:arm", "local:door", "lift")
    return task(
        f"t{number:04}",
        type_=chance.choice(TYPES),
        priority=chance.choice(list(Priority)),
        created_ms=now_ms - chance.randrange(5),
        after=after,
        retry_ms=perhaps(0.1, at(-5000, 1000, 60_000)),
        not_before_ms=perhaps(0.2, at(-5000, 1000, 60_000)),
        group=perhaps(0.4, chance.choice(("g", "h"))),
        locks=tuple(sorted(chance.sample(names, chance.choice((0, 0, 0, 1, 2))))),
        deadline_ms=perhaps(0.3, at(1000, 5000, 9000)),
        schedule_to_start_s=perhaps(0.1, chance.choice((5.0, 30.0))),
        schedule_to_close_s=perhaps(0.1, chance.choice((20.0, 90.0))),
        offline=chance.choice((Offline.KEEP, Offline.KEEP, Offline.RELEASE)),
        checks=(Check("stock"),) if chance.random() < 0.2 else (),
    )


class Desk:
    """Tasks of a device, a backlog that hears of all that happens to them, and what is taken."""

    def __init__(self, chance: Random, *, capacity: int = 2, aging_ms: int = 0) -> None:
        self.chance = chance
        self.now_ms = NOW_MS
        self.capacity = capacity
        self.aging_ms = aging_ms
        self.tasks: dict[str, Task] = {}
        self.running: list[str] = []
        self.paused: dict[tuple[str, str], str | None] = {}
        self.backlog = Backlog(aging_ms)
        self.starts = limits.Starts(LIMITS)
        self.said_yes: dict[str, int] = {}  # when the third party did
        self.started: list[tuple[str, str, int]] = []  # id, type, when

    @property
    def waiting(self) -> list[Task]:
        return [one for one in self.tasks.values() if one.status is Status.WAITING]

    def status_of(self, name: str) -> Status | None:
        return self.tasks[name].status

    def ahead(self, one: Task) -> str | None:
        """Look at all: the last of its group that was submitted before and has not ended."""
        if one.spec.group is None:
            return None
        before = [
            (other.created_ms, other.id)
            for other in self.tasks.values()
            if other.spec.group == one.spec.group and other.status not in ENDED
            if (other.created_ms, other.id) < (one.created_ms, one.id)
        ]
        return max(before)[1] if before else None

    def room(self) -> Room:
        room = Room(
            capacity=self.capacity,
            paused=dict(self.paused),
            limits=LIMITS,
            cleared=self.backlog.cleared,
            starts=self.starts.by_wall(self.now_ms, self.now_ms - NOW_MS),
        )
        room = rooms.with_runs(room, (self.tasks[name] for name in self.running))
        for one in self.backlog.asking:
            room = rooms.with_asking(room, self.tasks[one.id])
        for one in self.waiting:
            if rooms.needs_permit(one) and not rooms.must_ask(one) and self.stands_ready(one):
                room = rooms.with_request(room, one)
        return room

    def stands_ready(self, one: Task) -> bool:
        own = waiting.why(one, self.now_ms, self.status_of)
        return own is None and self.ahead(one) is None

    def decide(self, tasks: list[Task], room: Room) -> Decision:
        return schedule.decide(
            self.now_ms,
            tasks,
            room,
            status_of=self.status_of,
            ahead=self.ahead,
            aging_ms=self.aging_ms,
        )

    def candidates(self, room: Room) -> list[Task]:
        return self.backlog.candidates(self.now_ms, room)

    # ------------------------------------------------------------------ what happens

    def put(self, one: Task) -> None:
        self.tasks[one.id] = one
        statuses = {edge.task: self.tasks[edge.task].status for edge in one.spec.after}
        self.backlog.put(one, self.now_ms, statuses)

    def move(self, name: str, status: Status, **progress: Any) -> None:
        one = self.tasks[name]
        attempt = one.attempt
        if status is Status.RUNNING:
            attempt = Attempt("a", one.attempts_made + 1, "b", self.now_ms)
        moved = Progress(status, one.allocation, attempt, **progress)
        self.tasks[name] = replace(one, status=status, progress=moved)
        self.backlog.heard(name, status, self.now_ms)
        if status is Status.WAITING:
            self.put(self.tasks[name])
        else:
            self.backlog.remove(name)

    def apply(self, decision: Decision, candidates: list[Task]) -> None:
        """Do what the dispatcher does of a decision."""
        for name in decision.start:
            self.started.append((name, self.tasks[name].spec.type, self.now_ms))
            self.starts.note(self.tasks[name].spec.type, self.now_ms - NOW_MS)
            self.running.append(name)
            self.move(name, Status.RUNNING)
        for name in decision.check:
            self.backlog.ask(name, self.now_ms)
        for name in decision.ask:
            self.put(replace(self.tasks[name], start_asked=self.tasks[name].next_claim))
        for name in decision.doomed:
            self.move(name, Status.CANCELLED)
        for name in decision.expired:
            self.move(name, Status.EXPIRED)
        for one in candidates:
            self.backlog.restore(one.id, self.now_ms)

    def end_a_run(self) -> None:
        name = self.running.pop(self.chance.randrange(len(self.running)))
        ends = (Status.SUCCEEDED, Status.SUCCEEDED, Status.DEAD, Status.UNKNOWN, Status.WAITING)
        status = self.chance.choice(ends)
        retry_ms = self.now_ms + 3000 if status is Status.WAITING else None
        self.move(name, status, not_before_ms=retry_ms)

    def answer_one(self) -> None:
        """Answer for a third party: yes, not now, or that the task is to fail."""
        asking = self.backlog.asking
        if not asking:
            return
        name = self.chance.choice(asking).id
        no = Held(self.now_ms + 2000, (Reason("check", "stock", "none left"),))
        answers: tuple[Clearance, ...] = (Clear(self.now_ms + 3000), no, Barred("nobody answers"))
        known = self.chance.choice(answers)
        self.backlog.clear(name, known, self.now_ms)
        if isinstance(known, Clear):
            self.said_yes[name] = self.now_ms
        if isinstance(known, Barred):
            self.move(name, Status.DEAD)

    def permit(self, one: Task) -> Task:
        claim = one.next_claim
        assert claim is not None
        return replace(one, permit=Permit(claim, one.spec.shared_locks))

    def permit_one(self) -> None:
        """Answer one request, as the hub would: any of those that were asked."""
        asked = [one for one in self.waiting if one.start_asked == one.next_claim]
        asked = [one for one in asked if one.spec.asks_hub and not one.is_permitted]
        if asked:
            self.put(self.permit(self.chance.choice(asked)))

    def settle_one(self) -> None:
        """Say how an unknown one ended, as a person would."""
        unknown = [one.id for one in self.tasks.values() if one.status is Status.UNKNOWN]
        if unknown:
            self.move(self.chance.choice(unknown), Status.SUCCEEDED)

    def toggle_pause(self) -> None:
        key = ("demo", self.chance.choice(TYPES))
        if key in self.paused:
            del self.paused[key]
        else:
            self.paused[key] = "lunch"


def relieved(
    desk: Desk, one: Task, room: Room, words: frozenset[str]
) -> tuple[Task, Room, Mapping[str, Status], bool]:
    """Return the same with the causes of these reasons taken away: task, room, statuses, group."""
    statuses = {name: other.status for name, other in desk.tasks.items()}
    if "after" in words:
        statuses |= dict.fromkeys((edge.task for edge in one.spec.after), Status.SUCCEEDED)
    if "not_before" in words:
        one = replace(one, spec=replace(one.spec, not_before_ms=None))
    if "retry" in words and one.progress is not None:
        one = replace(one, progress=replace(one.progress, not_before_ms=None))
    if "lock" in words:
        room = replace(room, holders={})
    if "group" in words:
        room = replace(room, groups={})
    permit = "lock" if one.spec.shared_locks else "device"
    if permit in words and rooms.needs_permit(one) and not rooms.must_ask(one):
        one = desk.permit(one)
    if "busy" in words:
        taken = len(room.running) + len(room.asking)
        room = replace(room, capacity=taken + 1, limits={}, asked={})
    if "check" in words:
        room = replace(room, cleared={**room.cleared, one.id: Clear(desk.now_ms + 1)})
    if "paused" in words:
        room = replace(room, paused={})
    return one, room, statuses, "group" in words
