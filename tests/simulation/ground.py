"""What robots really do, seen by an observer who stands beside each of them.

The hub and the robots know what they were told; this knows who acts when. So it can say whether a
task ran twice, a lock was used twice, or an order was broken, whatever the records show.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.core.kinds.task import Claim
from shared.core.kinds.task_spec import Spec
from tests.simulation.promises import demand


@dataclass
class Run:
    """One run at one robot.

    Attributes:
        is_excused: A person lets the task run beside it.
        is_over: A person has said that it is over, so that what comes after it may start.
    """

    task: str
    claim: Claim
    robot: str
    is_active: bool = True
    is_excused: bool = False
    is_over: bool = False


@dataclass
class Ground:
    """All runs, and what persons have allowed.

    Attributes:
        runs: By task, in order of their start.
        licences: How often a task may start: once, and again for each run that failed and for
            each time a person said so.
        persons: Tasks that a person has decided about.
        given_up: Allocations that a person took away, by task: their runs are excused.
        over: Tasks that the hub has shown as ended for good.
    """

    specs: dict[str, Spec] = field(default_factory=dict)
    order: dict[str, tuple[int, str]] = field(default_factory=dict)
    runs: defaultdict[str, list[Run]] = field(default_factory=lambda: defaultdict(list))
    licences: defaultdict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1))
    persons: set[str] = field(default_factory=set)
    given_up: dict[str, int] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    double_runs: int = 0
    starts: int = 0

    def submitted(self, task: str, spec: Spec, created_ms: int) -> None:
        """Note a task that exists."""
        self.specs[task] = spec
        self.order[task] = (created_ms, task)

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

    def excuse(self, task: str, *, over: bool) -> None:
        """Note that a person has freed what a task's runs hold, or declared them over."""
        for run in self.runs[task]:
            run.is_excused = True
            run.is_over = run.is_over or over

    def failed(self, run: Run) -> None:
        """Note the end of a run that may be followed by another attempt."""
        self.licences[run.task] += 1
        run.is_active = False

    def start(self, run: Run) -> None:
        """A robot begins to act: was that right?"""
        spec, told = self.specs[run.task], f"{run.task} at {run.robot}"
        self.starts += 1
        before = list(self.runs[run.task])
        run.is_excused = run.claim.n <= self.given_up.get(run.task, -1)
        self.runs[run.task].append(run)
        if before and not spec.repeatable:
            beside = any(one.is_active and not one.is_excused for one in before)
            is_alone = run.is_excused or not beside
            demand(is_alone, 3, "exclusive", f"{told} acts beside another run of it")
            is_licensed = len(self.runs[run.task]) <= self.licences[run.task]
            demand(is_licensed, 3, "exclusive", f"{told} is a run that nobody asked for")
        self.double_runs += any(one.is_active for one in before)
        is_asked = run.task not in self.over or run.task in self.persons or spec.repeatable
        demand(is_asked, 3, "ended", f"{told} starts after the hub had shown that it was over")
        self._locks(run, spec, told)
        self._edges(run, spec, told)
        self._group(run, spec, told)
        self._unique(run, spec, told)

    def _locks(self, run: Run, spec: Spec, told: str) -> None:
        for other in () if run.is_excused else self._active(run.task):
            both = set(spec.shared_locks) & set(self.specs[other.task].shared_locks)
            demand(not both, 3, "lock", f"{told} uses {both} beside {other.task}")

    def _edges(self, run: Run, spec: Spec, told: str) -> None:
        for edge in spec.after:
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
            is_same = self.specs[other.task].group == spec.group
            demand(not is_same, 3, "group", f"{told} runs beside {other.task} of its group")
        for task, runs in self.runs.items():
            is_same = self.specs[task].group == spec.group and task != run.task
            is_late = is_same and bool(runs) and self.order[task] > self.order[run.task]
            # Given anew, a task has lost its turn: a person, or a device, has sent it back.
            is_late = is_late and run.task not in self.persons and run.claim.n == 1
            demand(not is_late, 3, "group", f"{told} starts after {task}, which is later")

    def _unique(self, run: Run, spec: Spec, told: str) -> None:
        for other in self._active(run.task) if spec.unique and not run.is_excused else ():
            is_same = self.specs[other.task].unique == spec.unique
            demand(not is_same, 3, "unique", f"{told} runs beside its duplicate {other.task}")

    def _was_forced(self, task: str) -> bool:
        return any(run.is_excused for run in self.runs[task]) or self.specs[task].repeatable

    def _active(self, but: str) -> Iterable[Run]:
        """Return what acts of other tasks, unless a person has said that it does not."""
        for task, runs in self.runs.items():
            if task != but:
                yield from (run for run in runs if run.is_active and not run.is_excused)
