"""What robots really do, seen by an observer who stands beside each of them.

The hub and the robots know what they were told; this knows who acts when. So it can say whether a
task ran twice, a lock was used twice, or an order was broken, whatever the records show.
"""

from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from agent.attempt import Failed, Result, Stopped, Succeeded
from agent.clearance import FRESH_MS
from agent.timers import Stop
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Allocation, Claim
from shared.core.kinds.task_spec import On, OnOrphan, Spec, Unreachable
from shared.core.lifecycle import ENDED, FINAL, Status
from tests.simulation.promises import demand

STOPPING_MS = 2_000  # that a run may take to end once its time is over
INTENT_MS = 50  # between a decision and the act: the intent becomes durable meanwhile

Given = tuple[str | None, int, str]  # an allocation: epoch, number, device


@dataclass
class Run:
    """One run at one robot.

    Attributes:
        is_excused: A person lets the task run beside it.
        is_unlocked: A person has said that it uses no lock.
        is_over: A person has said that it is over, so that what comes after it may start.
        outcome: How it really ended; None: it acts, or a crash has ended it.
        is_told: Its robot has written that outcome, and the write lasts.
        beat_ms: When it gave its last sign of life; the start is one.
        stopped: Why its robot had it end; None: it ended by itself, or a crash has ended it.
    """

    task: str
    claim: Claim
    robot: str
    began_ms: int
    is_active: bool = True
    is_excused: bool = False
    is_unlocked: bool = False
    is_over: bool = False
    outcome: str | None = None
    is_told: bool = False
    beat_ms: int = 0
    stopped: Stop | None = None

    def __post_init__(self) -> None:
        self.beat_ms = self.began_ms

    @property
    def is_own(self) -> bool:
        """Whether the device gave it to itself: such work has no order across devices."""
        return self.claim.epoch is None


@dataclass
class Ground:
    """All runs, and what persons have allowed.

    Attributes:
        places: Name of the node that each task was submitted at.
        runs: By task, in order of their start.
        licences: How often a task may start: once, and again for each run that failed and for
            each time a person said so.
        persons: Tasks that a person has decided about.
        given_up: Allocations that a person took away, by task: their runs are excused.
        unlocked: Claims whose locks a person has freed.
        succeeded: Tasks of which a run succeeded, or a person has said so.
        shown: Newest status that the hub has shown, by task.
        overlaps: Tasks of which two runs acted at one time.
        unsaid: Allocations that were taken from a device which had not said that nothing runs
            there, by task; and the attempts under each of which the hub knew the end.
        answers: What a third party told a robot last of a task (None: nothing), and when.
        twice: Tasks that were submitted at two nodes: what devices gave themselves of them runs
            beside whatever the hub deals, and nobody can help it.
        intended: Claims that robots have been about to start, by task: what the hub hears of such
            an intent may have acted, though a crash came first.
    """

    specs: dict[str, Spec] = field(default_factory=dict)
    order: dict[str, tuple[int, str]] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    runs: defaultdict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    licences: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    persons: set[str] = field(default_factory=set)
    given_up: dict[str, int] = field(default_factory=dict)
    unlocked: set[tuple[str, Claim]] = field(default_factory=set)
    succeeded: set[str] = field(default_factory=set)
    shown: dict[str, Status] = field(default_factory=dict)
    overlaps: set[str] = field(default_factory=set)
    answers: dict[tuple[str, str, str], tuple[bool | None, int]] = field(default_factory=dict)
    unsaid: defaultdict[str, dict[Given, set[int]]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    twice: set[str] = field(default_factory=set)
    intended: defaultdict[str, list[tuple[Claim, str]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    starts: int = 0

    def submitted(self, task: str, spec: Spec, created_ms: int, place: str) -> None:
        """Note a task that exists, and at which node."""
        self.specs[task] = spec
        self.places[task] = place
        self.order[task] = (created_ms, task)

    def may_repeat(self, task: str) -> bool:
        """Say whether a task may be submitted at another node too: no order across them binds it.

        What devices give themselves keeps no order, no key and no time that another knows.
        """
        spec = self.specs[task]
        times = (spec.schedule_to_start_s, spec.schedule_to_close_s, spec.deadline_ms)
        is_after = any(edge.task == task for other in self.specs.values() for edge in other.after)
        is_bound = spec.after or spec.group or spec.unique or spec.locks or is_after
        return not is_bound and all(one is None for one in times)

    def allow(self, task: str, n: int) -> None:
        """Note that a person lets a task run again, beside whatever runs of it, or yet will.

        Args:
            task: Of the decision.
            n: The allocation that it had till then.
        """
        self.licences[task] += 1
        self.given_up[task] = max(n, self.given_up.get(task, 0))
        self.persons.add(task)
        for run in self.runs[task]:
            run.is_excused = True

    def unlock(self, task: str, claim: Claim) -> None:
        """Note that a person frees what a claim holds, whether it runs or is about to."""
        self.unlocked.add((task, claim))
        for run in self.runs[task]:
            run.is_unlocked = run.is_unlocked or run.claim == claim

    def settle(self, task: str) -> None:
        """Note that a person has said what became of a task's runs: none of them acts."""
        for run in self.runs[task]:
            run.is_excused = run.is_over = True

    def ended(self, run: Run, result: Result, now_ms: int) -> None:
        """Note how a run has really ended; one that failed may be followed by another."""
        run.is_active = False
        limit_s = self.specs[run.task].start_to_close_s
        is_late = limit_s is not None and now_ms - run.began_ms > 1000 * limit_s + STOPPING_MS
        demand(not is_late, 3, "late", f"{run.task} at {run.robot} acts longer than {limit_s} s")
        silent_s = self.specs[run.task].heartbeat_s
        silent_ms = now_ms - run.beat_ms
        is_stuck = silent_s is not None and silent_ms > 1000 * silent_s + STOPPING_MS
        demand(not is_stuck, 3, "silent", f"{run.task} at {run.robot} is silent for {silent_ms} ms")
        match result:
            case Succeeded():
                run.outcome = "succeeded"
                self.succeeded.add(run.task)
            case Failed():
                run.outcome = "failed"
                self.licences[run.task] += 1
            case Stopped(why) if why is Stop.SHUTDOWN:
                self.crashed(run)
            case Stopped(why):
                run.outcome, run.stopped = "stopped", why
                self.licences[run.task] += why is not Stop.CANCEL

    def crashed(self, run: Run) -> None:
        """Note that the robot's process has ended; some work says that it may run again then."""
        run.is_active = False
        self.licences[run.task] += self.specs[run.task].on_orphan is not OnOrphan.ASK

    def concluded(self, run: Run, before: Status, after: Status) -> None:
        """A robot writes what follows for a task whose run it has stopped."""
        spec = self.specs[run.task]
        told = f"{run.task} was stopped at {run.robot} ({run.stopped}), and is {after}"
        if before is not Status.RUNNING or run.stopped in (None, Stop.CANCEL):
            return
        is_last = run.claim.attempt >= spec.max_attempts or run.stopped is Stop.CLOSE
        wanted = Status.DEAD if is_last else Status.WAITING
        demand(after is wanted, 3, "afterwards", told)

    # ------------------------------------------------------------------ what ran twice

    def leaves(self, task: str, given: Allocation, ended: set[int]) -> None:
        """The hub takes an allocation away, and nobody has said that nothing runs under it.

        Args:
            task: Of it.
            given: The allocation.
            ended: Attempts under it of which its device has said how they ended.
        """
        self.unsaid[task].setdefault((given.epoch, given.n, given.device), ended)

    def shows_double(self, task: str, *, is_shown: bool) -> None:
        """The hub shows in the end whether a task has run twice."""
        runs, unsaid = self.runs[task], self.unsaid[task]
        pairs = [(a, b) for a in runs for b in runs if _rank(a.claim) < _rank(b.claim)]
        taken = [(a, b) for a, b in pairs if _given(a.claim, a.robot) in unsaid]
        must = [a for a, _ in taken if a.claim.attempt not in unsaid[_given(a.claim, a.robot)]]
        may = [
            claim
            for claim, robot in self.intended[task]
            if _given(claim, robot) in unsaid and any(_rank(claim) < _rank(b.claim) for b in runs)
        ]
        told = f"{task} ran at {[run.robot for run in runs]}"
        is_due = bool(must) or task in self.overlaps
        demand(is_shown or not is_due, 4, "double run", f"{told}, maybe at once: it does not show")
        may_show = bool(may) or task in self.twice
        demand(may_show or not is_shown, 4, "double run", f"{told}, one after the other: it shows")

    # ------------------------------------------------------------------ what third parties say

    def answered(self, task: str, check: str, robot: str, ok: bool | None, now_ms: int) -> None:
        """Note what a third party told a robot; None: it cannot be asked."""
        self.answers[task, check, robot] = (ok, now_ms)

    # ------------------------------------------------------------------ what the hub shows

    def shows(self, task: str, status: Status) -> None:
        """The hub shows a task's status, after each of its commits."""
        before = self.shown.get(task, Status.WAITING)
        self.shown[task] = status
        if status is before:
            return
        told = f"{task} was {before}, and is {status}"
        spec = self.specs[task]
        is_bound = spec.schedule_to_start_s is not None or spec.schedule_to_close_s is not None
        demand(is_bound or status is not Status.EXPIRED, 3, "expiry", told)
        demand(before not in FINAL, 3, "overwritten", told)
        is_asked = before is not Status.DEAD or task in self.persons
        demand(is_asked, 3, "overwritten", f"{told}, though nobody retried it")
        if status in ENDED and not self.specs[task].repeatable:
            runs = [r for r in self.runs[task] if r.is_active and not self._is_own_twice(r)]
            acting = [r.robot for r in runs if not r.is_excused]
            demand(not acting, 3, "ended", f"{told}, while it acts at {acting}")

    # ------------------------------------------------------------------ starts

    def chosen(
        self,
        robot: str,
        starts: list[Task],
        left: list[Task],
        *,
        clock_ms: int,
        paused: Container[tuple[str, str]],
    ) -> None:
        """A robot starts some tasks and leaves others: none that could start is more urgent."""
        starts = [one for one in starts if one.id not in self.twice]
        for one in left:
            is_free = self._is_plain(one, clock_ms) and (one.site, one.spec.type) not in paused
            for started in starts if is_free else ():
                is_first = self._urgency(started) < self._urgency(one)
                told = f"{started.id} starts at {robot}, and {one.id} is left, which is more urgent"
                demand(is_first, 3, "urgency", told)

    def _is_plain(self, task: Task, clock_ms: int) -> bool:
        """Say whether nothing but room can keep a task, as far as it was asked for."""
        spec = self.specs[task.id]
        asks = spec.after or spec.group or spec.locks or spec.checks or spec.asks_hub
        is_due = spec.not_before_ms is None or spec.not_before_ms <= clock_ms
        return not asks and is_due and task.progress is None and task.id not in self.twice

    def _urgency(self, task: Task) -> tuple[int, float, tuple[int, str]]:
        deadline_ms = self.specs[task.id].deadline_ms
        due_ms = float("inf") if deadline_ms is None else deadline_ms
        return task.priority, due_ms, self.order[task.id]

    def intends(self, task: Task, robot: str, clock_ms: int) -> None:
        """A robot is about to start a task: is it time, by the robot's own clock?"""
        told = f"{task.id} starts at {robot}"
        spec = self.specs[task.id]
        is_early = spec.not_before_ms is not None and clock_ms < spec.not_before_ms
        demand(not is_early, 3, "early", f"{told}, at {clock_ms}, not before {spec.not_before_ms}")
        created_ms, _ = self.order[task.id]
        age_s = (clock_ms - created_ms) / 1000
        limit_s = spec.schedule_to_close_s
        is_over = limit_s is not None and age_s >= limit_s
        # What had started, or may have, or a person has run anew, has that time from then on.
        is_anew = task.id in self.intended or task.id in self.persons or task.seat.moved
        limit_s = spec.schedule_to_start_s
        is_over = is_over or (limit_s is not None and not is_anew and age_s >= limit_s)
        demand(not is_over, 3, "expiry", f"{told}, {age_s} s after its submission")
        assert task.next_claim is not None
        self.intended[task.id].append((task.next_claim, robot))

    def start(self, run: Run) -> None:
        """A robot begins to act: was that right?"""
        spec, told = self.specs[run.task], f"{run.task} at {run.robot}"
        self.starts += 1
        before = list(self.runs[run.task])
        run.is_excused = run.claim.n <= self.given_up.get(run.task, -1)
        run.is_unlocked = (run.task, run.claim) in self.unlocked
        self.runs[run.task].append(run)
        self._claim(run, before, told)
        if before and not spec.repeatable:
            beside = any(one.is_active and not self._is_apart(run, one) for one in before)
            is_alone = run.is_excused or not beside
            demand(is_alone, 3, "exclusive", f"{told} acts beside another run of it")
            is_licensed = len(self.runs[run.task]) <= self.licences[run.task]
            demand(is_licensed, 3, "exclusive", f"{told} is a run that nobody asked for")
        if any(one.is_active for one in before):
            self.overlaps.add(run.task)
        is_over = self.shown.get(run.task) in FINAL and not self._is_own_twice(run)
        is_asked = not is_over or run.task in self.persons or spec.repeatable
        demand(is_asked, 3, "ended", f"{told} starts after the hub had shown that it was over")
        self._checks(run, spec, told)
        self._locks(run, spec, told)
        self._edges(run, spec, told)
        self._group(run, spec, told)
        self._unique(run, spec, told)

    def _claim(self, run: Run, before: list[Run], told: str) -> None:
        """Each claim is one run; no device goes back to an allocation, nor runs beside itself."""
        is_new = all((one.claim, one.robot) != (run.claim, run.robot) for one in before)
        demand(is_new, 3, "claim", f"{told} runs twice under {run.claim}")
        mine = [one for one in before if one.robot == run.robot]
        is_newest = all(_rank(one.claim) <= _rank(run.claim) for one in mine)
        demand(is_newest, 3, "claim", f"{told} goes back to {run.claim}")
        is_alone = not any(one.is_active for one in mine)
        demand(is_alone, 3, "exclusive", f"{told} runs beside itself")

    def _checks(self, run: Run, spec: Spec, told: str) -> None:
        """Each third party has said yes, just now; or cannot be asked, where that is no matter."""
        for check in spec.checks:
            ok, at_ms = self.answers.get((run.task, check.name, run.robot), (None, None))
            leaves = check.if_unreachable is Unreachable.PROCEED and at_ms is not None
            is_yes = ok or (ok is None and leaves)
            demand(bool(is_yes), 3, "check", f"{told}, where {check.name} said {ok}")
            is_fresh = at_ms is not None and run.began_ms - at_ms <= FRESH_MS + INTENT_MS
            demand(is_fresh, 3, "stale", f"{told}, where {check.name} was asked at {at_ms}")

    def _locks(self, run: Run, spec: Spec, told: str) -> None:
        is_free = run.is_excused or run.is_unlocked
        users = [other for other in self._active(run.task) if not other.is_unlocked]
        for other in () if is_free else users:
            both = set(spec.locks) & set(self.specs[other.task].locks)
            both = {lock for lock in both if lock in spec.shared_locks or run.robot == other.robot}
            demand(not both, 3, "lock", f"{told} uses {both} beside {other.task}")

    def _edges(self, run: Run, spec: Spec, told: str) -> None:
        for edge in spec.after:
            is_proved = edge.on is not On.SUCCESS or edge.task in self.succeeded
            demand(is_proved, 3, "order", f"{told} starts, but {edge.task} never succeeded")
            before = self.runs[edge.task]
            active = [one for one in before if one.is_active and not one.is_over]
            # A robot that ended it, and was not told that a person moved it, goes on by itself.
            mine = [one for one in before if one.robot == run.robot]
            if self._was_forced(edge.task) and mine and not any(one.is_active for one in mine):
                continue
            demand(not active, 3, "order", f"{told} starts while {edge.task} runs, before it")
        for task, other in self.specs.items():
            is_after = any(edge.task == run.task for edge in other.after)
            is_late = is_after and bool(self.runs[task]) and not self._was_forced(run.task)
            demand(not is_late, 3, "order", f"{told} starts after {task}, which comes after it")

    def _group(self, run: Run, spec: Spec, told: str) -> None:
        if spec.group is None or run.is_excused:
            return
        for other in self._active(run.task):
            is_same = self.specs[other.task].group == spec.group and _is_ordered(run, other)
            demand(not is_same, 3, "group", f"{told} runs beside {other.task} of its group")
        for task, runs in self.runs.items():
            is_same = self.specs[task].group == spec.group and task != run.task
            # A device's own need not wait for an earlier one that it has left to the hub.
            runs = [o for o in runs if _is_ordered(run, o) and run.is_own == o.is_own]
            # Of what arrives from elsewhere the hub knows too late who was first.
            is_same = is_same and self.places[task] == self.places[run.task]
            is_late = is_same and bool(runs) and self.order[task] > self.order[run.task]
            # Given anew, a task has lost its turn: a person, or a device, has sent it back.
            is_late = is_late and run.task not in self.persons and run.claim.n <= 1
            demand(not is_late, 3, "group", f"{told} starts after {task}, which is later")

    def _unique(self, run: Run, spec: Spec, told: str) -> None:
        for other in self._active(run.task) if spec.unique and not run.is_excused else ():
            theirs = self.specs[other.task]
            is_same = (theirs.type, theirs.unique) == (spec.type, spec.unique)
            # One that a device gave itself, and that runs already, is left to run beside the first.
            is_same = is_same and _is_ordered(run, other) and run.is_own == other.is_own
            demand(not is_same, 3, "unique", f"{told} runs beside its duplicate {other.task}")

    def _is_own_twice(self, run: Run) -> bool:
        return run.is_own and run.task in self.twice

    def _is_apart(self, run: Run, other: Run) -> bool:
        """Say whether a run may act beside another of its task."""
        is_twice = run.robot != other.robot and (run.is_own or other.is_own)
        return other.is_excused or (is_twice and run.task in self.twice)

    def _was_forced(self, task: str) -> bool:
        is_moved = task in self.given_up or any(run.is_excused for run in self.runs[task])
        return is_moved or self.specs[task].repeatable

    def _active(self, but: str) -> Iterable[Run]:
        """Return what acts of other tasks, unless a person has said that it does not."""
        for task, runs in self.runs.items():
            if task != but:
                yield from (run for run in runs if run.is_active and not run.is_excused)


def _given(claim: Claim, robot: str) -> Given:
    return claim.epoch, claim.n, robot


def _rank(claim: Claim) -> tuple[bool, int]:
    return claim.epoch is not None, claim.n


def _is_ordered(run: Run, other: Run) -> bool:
    """Say whether groups and keys bind both: what devices gave themselves is theirs alone."""
    return run.robot == other.robot or not (run.is_own or other.is_own)
