"""The waiting tasks of this device, indexed so that a decision looks at few of them: no I/O.

``candidates`` hands out the tasks among which ``schedule.decide`` would choose if it saw all of
them: those that are over, and the most urgent that may start. A test holds the two together.

Each task stands in one place: under the predecessors that it waits for; in a heap by the time it
waits for, its checks' next asking included; in its group, behind others; with those that asked for
a permit, or whose checks are being asked; or ready, in the bucket of those with the same gates
(``room.py``). Of a bucket only the first counts, and a bucket whose
gate is shut is laid aside under that gate until it opens. So neither a hundred thousand tasks of a
paused type nor as many locks cost a decision more than a few.
"""

import heapq
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import islice

import msgspec

from agent import clearance
from agent import order as orders
from agent import room as rooms
from agent.clearance import Asking, Barred, Clearance, Due, Held
from agent.groups import Groups
from agent.heads import Heads
from agent.room import Gate, Room
from shared.core import waiting
from shared.core.kinds.task import Task
from shared.core.lifecycle import ENDED, Status
from shared.core.times import Times

# Of each a decision takes no more, so that thousands that are over, or whose time has come at once,
# do not stop the starts. The rest is taken by the next decisions, which follow at once.
OVER_MAX = 64
DUE_MAX = 64


class Backlog:
    """Waiting tasks; changed by its owner only.

    Args:
        aging_ms: Waiting that lifts a task by one level; 0: none does.
    """

    def __init__(self, aging_ms: int = 0) -> None:
        self.groups = Groups()
        self._aging_ms = aging_ms
        self._tasks: dict[str, Task] = {}
        self._heads = Heads()
        self._later = Times()  # not before, retry
        self._again = Times()  # by the boot clock: when the checks of a task are asked again
        self._due: list[str] = []  # their time has come, and nobody was told
        self._lifts = Times()  # rises in the queue
        self._expiries = Times()
        self._over: dict[str, None] = {}  # doomed or expired
        self._behind: dict[str, None] = {}  # others of their group
        self._asked: dict[str, Gate] = {}  # waits for the permit that it asked for
        self._cleared: dict[str, Clearance] = {}  # replaced as a whole: other threads read it
        self._followers: dict[str, set[str]] = {}
        self._statuses: dict[str, Status | None] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, task_id: str) -> bool:
        return task_id in self._tasks

    def status_of(self, task_id: str) -> Status | None:
        """Return the status of a predecessor, as last heard."""
        return self._statuses.get(task_id)

    @property
    def asked(self) -> dict[Gate, tuple[str, ...]]:
        """Tasks that wait for a permit they asked for, by gate."""
        found: dict[Gate, tuple[str, ...]] = {}
        for task_id, gate in self._asked.items():
            found[gate] = (*found.get(gate, ()), task_id)
        return found

    def next(self, count: int, now_ms: int) -> list[Task]:
        """Return the tasks that would start next but for what only this device knows.

        The most urgent first; those behind others of their group last. None that waits for a time
        or for other tasks: of those a hub can tell as well, and there may be any number.
        """
        ids = {*self._heads.first(count), *self._asked, *self._cleared} - self._behind.keys()
        ready = [task for i in ids if self._is_free(task := self._tasks[i], now_ms)]
        order = partial(orders.order, now_ms=now_ms, aging_ms=self._aging_ms)
        found = heapq.nsmallest(count, ready, key=order)
        return found + [self._tasks[i] for i in islice(self._behind, count - len(found))]

    @property
    def cleared(self) -> Mapping[str, Clearance]:
        """What is known of the checks of tasks that wait; a mapping that nobody changes."""
        return self._cleared

    @property
    def asking(self) -> list[Task]:
        """Tasks whose checks are being asked."""
        return [self._tasks[i] for i, known in self._cleared.items() if isinstance(known, Asking)]

    def _is_free(self, task: Task, now_ms: int) -> bool:
        """Say whether a task waits for no other task and no time."""
        return waiting.why(task, now_ms, self.status_of) is None

    # ------------------------------------------------------------------ what is known of tasks

    def put(self, task: Task, now_ms: int, statuses: Mapping[str, Status | None]) -> None:
        """Take a task, or its newer version.

        Args:
            task: Its status is waiting.
            now_ms: Wall clock, Unix ms.
            statuses: Statuses of its predecessors.
        """
        stands = task.id in self._tasks or bool(task.spec.after) or task.spec.group is not None
        self._tasks[task.id] = lean = _lean(task)
        for edge in task.spec.after:
            self._followers.setdefault(edge.task, set()).add(task.id)
            self.heard(edge.task, statuses.get(edge.task), now_ms)
        if task.spec.group is not None:
            self.join(task.id, (task.site, task.spec.group), task.created_ms, now_ms)
        if stands:  # or may, by what was heard just now
            self._lift_out(task.id)
        self._put(lean, now_ms)

    def remove(self, task_id: str) -> None:
        """Let go of a task that waits no more; it keeps its place in its group until it ends."""
        task = self._tasks.pop(task_id, None)
        if task is None:
            return
        self._lift_out(task_id)
        self._expiries.drop(task_id)
        if task_id in self._cleared:
            self._cleared = {i: known for i, known in self._cleared.items() if i != task_id}
        for edge in task.spec.after:
            followers = self._followers.get(edge.task, set())
            followers.discard(task_id)
            if not followers:
                self._followers.pop(edge.task, None)
                self._statuses.pop(edge.task, None)

    def heard(self, task_id: str, status: Status | None, now_ms: int) -> None:
        """Note the status of a task: one that has ended makes way for its group and followers."""
        if status in ENDED:
            self.leave(task_id, now_ms)
        if self._statuses.get(task_id) is status:
            return
        followers = self._followers.get(task_id)
        if followers is None:
            return
        self._statuses[task_id] = status
        for follower in followers:
            self._place(self._tasks[follower], now_ms)

    def join(self, task_id: str, key: tuple[str, str], created_ms: int, now_ms: int) -> None:
        """Note a member of a group, waiting or not; it stands before all that came after it."""
        self._place_again(self.groups.join(task_id, key, created_ms), now_ms)

    def leave(self, task_id: str, now_ms: int) -> None:
        """Note that a task has ended, or is not this device's any more."""
        self._place_again(self.groups.leave(task_id), now_ms)

    def ask(self, task_id: str, now_ms: int) -> None:
        """Note that the checks of a task are being asked."""
        self.clear(task_id, clearance.asking(self._cleared.get(task_id)), now_ms)

    def clear(self, task_id: str, known: Clearance, now_ms: int) -> None:
        """Note what came of asking the checks of a task."""
        if task_id in self._tasks:
            self._cleared = {**self._cleared, task_id: known}
            self._place(self._tasks[task_id], now_ms)

    # ------------------------------------------------------------------ decisions

    def candidates(self, now_ms: int, room: Room) -> list[Task]:
        """Hand out tasks that are over, and the most urgent that may start or ask in this room.

        They stay here, but are not handed out again before they were put or ``restored``.
        """
        came = self._later.due(now_ms, DUE_MAX)
        self._due += came
        for task_id in came:
            self._place(self._tasks[task_id], now_ms)
        for task_id in self._again.due(now_ms - room.ahead_ms, DUE_MAX):
            self.clear(task_id, Due(clearance.last_said(self._cleared.get(task_id))), now_ms)
        for task_id in self._lifts.due(now_ms, DUE_MAX):
            self._place(self._tasks[task_id], now_ms)
        for task_id in self._expiries.due(now_ms, OVER_MAX):
            self._lift_out(task_id)
            self._over[task_id] = None
        chosen = [self._tasks[i] for _, i in zip(range(OVER_MAX), self._over, strict=False)]
        for task in chosen:
            del self._over[task.id]
        return [*chosen, *self._urgent(now_ms, room)]

    def take_due(self) -> list[str]:
        """Return the tasks whose time has come since this was asked."""
        due, self._due = self._due, []
        return due

    def restore(self, task_id: str, now_ms: int) -> None:
        """Put a task that was handed out back in its place."""
        self._place_again(task_id, now_ms)

    def wake_ms(self, now_ms: int, room: Room) -> int | None:
        """Return when something here changes by itself, Unix ms: a time comes, a rate allows."""
        found = [self._later.first(), self._expiries.first()]
        again_ms = self._again.first()
        if again_ms is not None:
            found.append(again_ms + room.ahead_ms)
        for gate in self._heads.shut:
            found += [hold.wake_ms for hold in rooms.holds(room, gate, now_ms)]
        return min((ms for ms in found if ms is not None), default=None)

    def _urgent(self, now_ms: int, room: Room) -> Iterator[Task]:
        self._heads.open(partial(rooms.is_open, room, now_ms))
        while not room.is_full:
            head = self._heads.pop(partial(rooms.is_open, room, now_ms))
            if head is None:
                return
            task = self._tasks[head]
            if rooms.must_check(room, task, now_ms):
                room = rooms.with_asking(room, task)
            elif rooms.must_ask(task):
                room = rooms.with_request(room, task)
            else:
                room = rooms.with_run(room, task, now_ms)
            yield task

    # ------------------------------------------------------------------ places

    def _place_again(self, task_id: str | None, now_ms: int) -> None:
        task = self._tasks.get(task_id) if task_id is not None else None
        if task is not None:
            self._place(task, now_ms)

    def _lift_out(self, task_id: str) -> None:
        self._heads.drop(task_id)
        self._later.drop(task_id)
        self._again.drop(task_id)
        self._lifts.drop(task_id)
        self._over.pop(task_id, None)
        self._asked.pop(task_id, None)
        self._behind.pop(task_id, None)

    def _place(self, task: Task, now_ms: int) -> None:
        self._lift_out(task.id)
        self._put(task, now_ms)

    def _put(self, task: Task, now_ms: int) -> None:
        """Put a task that stands nowhere in its place."""
        expiry = waiting.expiry(task)
        if expiry is not None:
            self._expiries.put(task.id, expiry.at_ms)
        why = waiting.why(task, now_ms, self.status_of)
        if why is not None and why.doomed is not None:
            self._over[task.id] = None
        elif why is not None and why.wake_ms is not None:
            self._later.put(task.id, why.wake_ms)
        elif why is not None:
            return  # whoever is before it makes it be placed again
        elif self.groups.ahead(task) is not None:
            self._behind[task.id] = None  # so does whoever is before it there
        elif rooms.needs_permit(task) and not rooms.must_ask(task):
            self._asked[task.id] = rooms.ask_gate(task)
        elif isinstance(known := self._cleared.get(task.id), Asking | Barred):
            return  # the answer has it placed again, or ends it
        elif isinstance(known, Held):
            self._again.put(task.id, known.until_ms)
        else:
            self._heads.put(orders.order(task, now_ms, self._aging_ms), rooms.gates(task))
            lift_ms = orders.lift_ms(task, now_ms, self._aging_ms)
            if lift_ms is not None:
                self._lifts.put(task.id, lift_ms)


def _lean(task: Task) -> Task:
    """Drop what no decision needs: a hundred thousand payloads would not fit a small board."""
    spec, progress = task.spec, task.progress
    if not spec.payload and progress is None:
        return task
    spec = msgspec.structs.replace(spec, payload={})
    if progress is not None and progress.attempt is not None:
        attempt = msgspec.structs.replace(progress.attempt, output=None, error=None)
        progress = msgspec.structs.replace(progress, attempt=attempt)
    return msgspec.structs.replace(task, spec=spec, progress=progress)
