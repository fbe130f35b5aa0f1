"""Dispatch rules left out one at a time: the observer beside the robots must notice each.

The rules and their shortest counterexamples are those of the dispatch model; each planted hub or
robot keeps all of them but one.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any

import msgspec

from agent import attempt as attempts
from agent import claim as claims
from agent import clearance, testimony
from agent.attempt import Failed, Result, Stopped
from agent.clearance import Answer, Clear, Clearance
from agent.timers import Stop
from hub import (
    allocation,
    deciding,
    evidence,
    force,
    groups,
    locks,
    permits,
    recall,
    retry,
    returned,
    seating,
    unique,
)
from hub.allocation import Choice, DeviceState
from hub.round import Round, Terms
from hub.seats import write_seat, write_status
from shared.api import task_actions, task_events
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Attempt, Failure, Progress, RecallRequest
from shared.core.kinds.task_spec import Check, Offline, Unreachable
from shared.core.lifecycle import ACTING, Status
from shared.core.task_view import AttemptView
from shared.core.waiting import why
from shared.sync.frame import Down
from tests.simulation.desk import Office
from tests.simulation.planted import SeatsWhoever, taking_with
from tests.simulation.robots import Manners, starts_again

TWICE = ("exclusive", "claim")  # it runs where, or when, it runs already


class DispatchBug(msgspec.Struct, frozen=True):
    """One rule left out.

    Attributes:
        name: What is wrong.
        office: The hub with that fault, or the honest one.
        manners: The robots with that fault, or honest ones.
        caught_by: Names of the comparisons that may notice first.
        often: What happens more than by itself, see ``dispatch_world.simulate``.
        first: Seed to begin with: rare ones would take minutes from the first.
    """

    name: str
    office: Office
    manners: Manners
    caught_by: frozenset[str]
    often: tuple[str, ...] = ()
    first: int = 0


Rash = Callable[[Any, Task, Terms, dict[str, DeviceState]], bool]


def dealing_rashly(is_rash: Rash) -> Callable[..., Round]:
    """Return a round that first gives some tasks to a device, whatever else their rules say."""

    def sit(
        tx: Any,
        batch: list[str],
        states: dict[str, DeviceState],
        terms: Terms,
        others: bool = True,
    ) -> Round:
        for task_id in batch:
            task = tasks.read(tx.record("task", task_id))
            if task is None or task.cancel_asked or not is_rash(tx, task, terms, states):
                continue
            holder = task.allocation.device if task.allocation else None
            here = [s for s in states.values() if s.connected and s.id != holder]
            here = [s for s in here if task.spec.device in (None, s.id)]
            if here:
                chosen = here[hash_of(task_id) % len(here)]
                recall.ask_back(tx, task, "hub")
                write_seat(tx, task, Choice(chosen, {}))
        return seating.sit(tx, batch if others else [], states, terms)

    return sit


def hash_of(task_id: str) -> int:
    """Spread tasks over devices, the same way in every process."""
    return int(task_id[-4:], 16)


def _is_ready(tx: Any, task: Task) -> bool:
    if task.status is not Status.WAITING or task.allocation is not None:
        return False
    waiting = why(task, tx.now_ms, lambda other: _status(tx, other))
    return waiting is None and unique.stands_before(tx, task) is None


def _status(tx: Any, task_id: str) -> Status | None:
    task = tasks.read(tx.record("task", task_id))
    return task.status if task else None


def _is_away(task: Task, terms: Terms, states: dict[str, DeviceState], after_ms: int) -> bool:
    given = task.allocation
    if given is None or given.device not in states or states[given.device].connected:
        return False
    return terms.boot_ms - terms.silent.get(given.device, terms.boot_ms) > after_ms


def of_a_group(tx: Any, task: Task, _terms: Terms, _states: dict[str, DeviceState]) -> bool:
    """Give the tasks of a group to whoever is free."""
    turn = groups.turn(tx, task)
    return task.spec.group is not None and _is_ready(tx, task) and turn != groups.Turn()


def a_duplicate(_tx: Any, task: Task, _terms: Terms, _states: dict[str, DeviceState]) -> bool:
    """Admit every task of a unique key."""
    is_free = task.status is Status.WAITING and task.allocation is None
    is_plain = not (task.spec.group or task.spec.after)
    return is_free and is_plain and task.spec.unique is not None


def sit_without_keys(
    tx: Any, batch: list[str], states: dict[str, DeviceState], terms: Terms
) -> Round:
    """Give tasks with a unique key like any other, and never ask one to end as a duplicate."""
    keyed = {t for t in batch if (task := tasks.read(tx.record("task", t))) and task.spec.unique}
    dealing_rashly(a_duplicate)(tx, sorted(keyed), states, terms, others=False)
    return seating.sit(tx, [t for t in batch if t not in keyed], states, terms)


def kept_by_one_away(_tx: Any, task: Task, terms: Terms, states: dict[str, DeviceState]) -> bool:
    """Infer from silence that a task was not started."""
    is_waiting = task.status is Status.WAITING and not task.spec.asks_hub
    is_waiting = is_waiting and task.spec.group is None
    return is_waiting and _is_away(task, terms, states, 3_000)


def permitted_to_one_away(
    _tx: Any, task: Task, terms: Terms, states: dict[str, DeviceState]
) -> bool:
    """Take every permitted run for repeatable."""
    may_act = task.status in ACTING or task.is_permitted
    return may_act and task.spec.asks_hub and _is_away(task, terms, states, 3_000)


def before_all_ended(tx: Any, task: Task, _terms: Terms, _states: dict[str, DeviceState]) -> bool:
    """Take the end of the newest allocation for the end of all."""
    before = [tasks.read(tx.record("task", edge.task)) for edge in task.spec.after]
    is_open = any(one is not None and evidence.still_open(tx, one) for one in before)
    return is_open and task.spec.group is None and _is_ready(tx, task)


# ------------------------------------------------------------------ persons' verbs


def cancel_at_once(tx: Any, task_id: str, actor: str) -> None:
    """Write the status of a task that a device has, instead of asking."""
    task = task_actions.known(tx, task_id)
    if task.status is Status.WAITING and task.allocation is not None:
        progress = Progress(Status.CANCELLED, task.allocation, task.attempt, f"by {actor}")
        task_events.append(tx, task.id, task.site, "task.status", progress, actor)
    else:
        task_actions.cancel(tx, task_id, actor)


def force_alone(
    tx: Any, task_id: str, states: dict[str, DeviceState], *, device: str | None, **given: str
) -> bool:
    """Leave where it is what comes after a task that is forced elsewhere."""
    task = task_actions.known(tx, task_id)
    asked = {one.id for one in recall.followers(tx, task).held if one.recall is None}
    is_possible = force.force(tx, task_id, states, device=device, **given)
    for one in asked:
        withdrawn = RecallRequest(None, 0)  # of no allocation: as if it had not been asked
        task_events.append(tx, one, task.site, "task.recall_requested", withdrawn, "hub")
    return is_possible


def force_without_a_word(
    tx: Any, task_id: str, states: dict[str, DeviceState], *, device: str | None, **given: str
) -> bool:
    """Force a task elsewhere as if its device had said that nothing runs there."""
    before = task_actions.known(tx, task_id).seat.moved
    force.force(tx, task_id, states, device=device, **given)
    task = task_actions.known(tx, task_id)
    seat = msgspec.structs.replace(task.seat, moved=before)
    task_events.append(tx, task_id, task.site, "task.allocated", seat, "ada")
    return False


def retry_unknown(tx: Any, task_id: str, actor: str) -> None:
    """Retry without looking what is known of older allocations, or has started since."""
    task = task_actions.known(tx, task_id)
    if task.status is not Status.DEAD or task.allocation is None:
        retry.retry(tx, task_id, actor)
        return
    if recall.followers(tx, task).started is None:
        retry.retry(tx, task_id, actor)
        return
    choice = allocation.Choice(
        DeviceState(
            id=task.allocation.device,
            site=task.site,
            incarnation=task.allocation.incarnation,
            types=frozenset(),
            capabilities=frozenset(),
            connected=True,
            last_seen_ms=0,
        ),
        {},
    )
    write_seat(tx, task, choice, actor=actor)


# ------------------------------------------------------------------ permits


def look_past_silence(tx: Any, changed: list[str], connected: Set[str]) -> None:
    """Free the locks of devices that nobody hears."""
    for row in permits.rows(tx):
        if row.device not in connected:
            tx.execute(permits.FREE_ONE, row.site, row.name)
    permits.look(tx, changed, connected)


def look_past_unknown(tx: Any, changed: list[str], connected: Set[str]) -> None:
    """Free the locks of a run as soon as it has begun."""
    for row in permits.rows(tx):
        task = tasks.read(tx.record("task", row.task))
        if task is not None and task.status is Status.RUNNING:
            tx.execute(permits.FREE_ONE, row.site, row.name)
    permits.look(tx, changed, connected)


def look_at_one_lock(tx: Any, changed: list[str], connected: Set[str]) -> None:
    """Grant a claim as soon as the first of its locks is free."""
    permits.look(tx, changed, connected)
    held = {row.name for row in permits.rows(tx)}
    for (task_id,) in tx.query(permits.REQUESTS):
        task = tasks.read(tx.record("task", task_id))
        if task is None or task.start_asked is None or not task.spec.shared_locks:
            continue
        first = task.spec.shared_locks[0]
        if first not in held and permits._may_be_granted(tx, task, connected):
            permits._grant(tx, task, locks.Request(task_id, task.start_asked, (first,)))
            held.add(first)


# ------------------------------------------------------------------ what reports and silence say


def said_nothing(tx: Any, task: Task, _terms: Terms, states: dict[str, DeviceState]) -> bool:
    """Infer from what a device does not say that the task never reached it."""
    given = task.allocation
    if given is None or task.status is not Status.WAITING or task.spec.group is not None:
        return False
    is_here = given.device in states and states[given.device].connected
    is_silent = task.start_asked is None and not tx.query(recall.HAS_ACTED, task.id)
    return is_here and is_silent and not task.spec.asks_hub


def known_to_be_done(tx: Any, task: Task, _terms: Terms, _states: dict[str, DeviceState]) -> bool:
    """Deal what an older allocation has done."""
    is_free = task.status is Status.WAITING and task.allocation is None
    return is_free and not task.spec.repeatable and evidence.success(tx, task) is not None


def retry_what_is_done(tx: Any, task_id: str, actor: str) -> None:
    """Retry without asking whether an older allocation has succeeded."""
    task = task_actions.known(tx, task_id)
    if task.status is not Status.DEAD or evidence.success(tx, task) is None:
        retry.retry(tx, task_id, actor)
        return
    if task.allocation is not None:
        task_events.take_back(tx, task, actor=actor, reason="once more")
    progress = Progress(Status.WAITING, reason="once more")
    task_events.append(tx, task.id, task.site, "task.status", progress, actor)


def sit_by_any_report(
    tx: Any, batch: list[str], states: dict[str, DeviceState], terms: Terms
) -> Round:
    """Take what a former holder reports for the outcome."""
    for task_id in batch:
        task = tasks.read(tx.record("task", task_id))
        if task is None or task.allocation is None or evidence.success(tx, task) is None:
            continue
        task_events.take_back(tx, task, actor="hub", reason="it is done")
        write_status(tx, task, Progress(Status.SUCCEEDED))
    return seating.sit(tx, batch, states, terms)


def settle_as_never_started(tx: Any, device: str, incarnation: str) -> None:
    """Take what a device had under a lost journal for what nobody has begun."""
    for status in returned.UNFINISHED:
        for task_id, _ in tx.query(returned.HELD, device, status.value, *returned.START, 100):
            task = tasks.read(tx.record("task", task_id))
            if task is None or task.allocation is None:
                continue
            if task.allocation.incarnation != incarnation:
                task_events.take_back(tx, task, actor="hub", reason="it lost its journal")


def force_under_one_number(
    tx: Any, task_id: str, states: dict[str, DeviceState], *, device: str | None, **given: str
) -> bool:
    """Force a task elsewhere under the number that it has."""
    task = task_actions.known(tx, task_id)
    is_possible = force.force(tx, task_id, states, device=device, **given)
    after = task_actions.known(tx, task_id)
    assert after.allocation is not None
    assert task.allocation is not None
    again = msgspec.structs.replace(after.allocation, n=task.allocation.n)
    seat = msgspec.structs.replace(after.seat, allocation=again, n=again.n)
    task_events.append(tx, task_id, task.site, "task.allocated", seat, "ada")
    return is_possible


# ------------------------------------------------------------------ robots


def sees_no_locks_nor_permits(task: Task) -> Task:
    """Take every task for one that asks nobody."""
    spec = msgspec.structs.replace(task.spec, offline=Offline.KEEP, locks=task.spec.local_locks)
    return msgspec.structs.replace(task, spec=spec)


def sees_any_permit(task: Task) -> Task:
    """Take the permit of an earlier claim for one of the next."""
    return sees_no_locks_nor_permits(task) if task.permit is not None else task


def sees_no_own_locks(task: Task) -> Task:
    """Overlook the locks that are the device's own."""
    spec = msgspec.structs.replace(task.spec, locks=task.spec.shared_locks)
    return msgspec.structs.replace(task, spec=spec)


def sees_no_recall(task: Task) -> Task:
    """Overlook that the hub asks for a task back."""
    return msgspec.structs.replace(task, recall=None)


def sees_no_cancel(task: Task) -> Task:
    """Overlook that a person has cancelled it."""
    return msgspec.structs.replace(task, why_cancel=None)


def start_anyway(tx: Any, task_id: str, *, attempt_id: str, boot: str) -> Task | None:
    """Start without the second look that production takes in the transaction."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or task.status is not Status.WAITING or not claims.is_ours(task, tx.node):
        return task
    attempt = Attempt(id=attempt_id, number=task.attempts_made + 1, boot=boot, started_ms=tx.now_ms)
    return claims.report(tx, task, Progress(Status.RUNNING, task.allocation, attempt))


def acted_under_two(_task: Task, acted: Sequence[AttemptView]) -> bool:
    """Call whatever ran under two allocations a double run."""
    return len({attempt.claim.n for attempt in acted}) > 1


def sees_no_start_time(task: Task) -> Task:
    """Overlook that a task is not to start yet."""
    return msgspec.structs.replace(
        task, spec=msgspec.structs.replace(task.spec, not_before_ms=None)
    )


def sees_no_deadline(task: Task) -> Task:
    """Overlook when a task should be done."""
    return msgspec.structs.replace(task, spec=msgspec.structs.replace(task.spec, deadline_ms=None))


def sees_no_expiry(task: Task) -> Task:
    """Overlook that a task has waited too long."""
    spec = msgspec.structs.replace(task.spec, schedule_to_start_s=None, schedule_to_close_s=None)
    return msgspec.structs.replace(task, spec=spec)


def take_no_for_yes(checks: Sequence[Check], answers: Sequence[Answer], now_ms: int) -> Clearance:
    """Take whatever a third party says for a yes."""
    said = [msgspec.structs.replace(one, ok=one.ok is not None or None) for one in answers]
    return clearance.conclude(checks, said, now_ms)


def take_nothing_for_yes(
    checks: Sequence[Check], answers: Sequence[Answer], now_ms: int
) -> Clearance:
    """Pass over whoever cannot be asked, whatever the task says of that."""
    passing = [msgspec.structs.replace(c, if_unreachable=Unreachable.PROCEED) for c in checks]
    return clearance.conclude(passing, answers, now_ms)


def take_yes_for_ever(checks: Sequence[Check], answers: Sequence[Answer], now_ms: int) -> Clearance:
    """Take a yes for one that holds however long the start takes."""
    known = clearance.conclude(checks, answers, now_ms)
    return Clear(2**53) if isinstance(known, Clear) else known


def give_up_when_silent(task: Task, result: Result, *, now_ms: int, jitter: float) -> Progress:
    """Take a missed heartbeat for a failure that trying again does not mend."""
    if isinstance(result, Stopped) and result.why is Stop.SILENCE:
        result = Failed(Failure("heartbeat-missed", "it is stuck", permanent=True))
    return attempts.conclude(task, result, now_ms=now_ms, jitter=jitter)


def let_go_of_all(tx: Any, chunk: Down) -> None:
    """Say that nothing runs under what was taken away, without looking."""
    for state in chunk.registers:
        if (state.kind, state.name) != ("task", task_bodies.SEAT):
            continue
        record = tx.record("task", state.subject)
        for one in tasks.seat_of(record).doubtful:
            if one.origin == tx.node.writes[record.site] and not tasks.is_let_go(record, one):
                said = Progress(Status.WAITING, one, returned=True)
                testimony.testify(tx, record, said)


def takes_unknown_for_done(status: Status | None) -> Status | None:
    """Take a predecessor of which nobody knows how it ended for one that succeeded."""
    return Status.SUCCEEDED if status is Status.UNKNOWN else status


# ------------------------------------------------------------------ the list


def _bug(
    name: str,
    *caught_by: str,
    office: Office | None = None,
    manners: Manners | None = None,
    often: tuple[str, ...] = (),
    first: int = 0,
) -> DispatchBug:
    return DispatchBug(
        name, office or Office(), manners or Manners(), frozenset(caught_by), often, first
    )


def _deals(is_rash: Rash) -> Office:
    return Office(sit=dealing_rashly(is_rash))


def _sees(sees: Callable[[Task], Task]) -> Manners:
    return Manners(sees=sees, start=start_anyway)


# In the order of the sections of the dispatch model.
DISPATCH_BUGS = (
    # 1. Seat
    _bug(
        "a status is written by one who does not sit", "seat", office=Office(cancel=cancel_at_once)
    ),
    _bug(
        "a device takes what another has, or what is over",
        "overwritten",
        "ended",
        *TWICE,
        office=Office(take_up=taking_with(SeatsWhoever)),
        often=("repeat",),
    ),
    _bug("a recall is ignored", "recall", manners=_sees(sees_no_recall)),
    _bug("a cancellation is ignored", "recall", "progress", manners=_sees(sees_no_cancel)),
    _bug("it acts before the intent lasts", "intent", manners=Manners(intends_first=False)),
    _bug(
        "the end is written before the stop",
        *TWICE,
        "ended",
        "group",
        "lock",
        "order",
        manners=Manners(stops_first=False),
    ),
    _bug(
        "an orphan simply starts again",
        *TWICE,
        manners=Manners(after_crash=starts_again),
        often=("settle", "drain"),
    ),
    _bug(
        "leftovers are left running",
        *TWICE,
        "ended",
        "lock",
        manners=Manners(ends_leftovers=False),
        first=8,
    ),
    _bug(
        "a lost journal says nothing ran",
        *TWICE,
        office=Office(returned=settle_as_never_started),
        often=("lose",),
        first=8,
    ),
    _bug(
        "a started successor does not bar",
        "order",
        office=Office(retry=retry_unknown),
        often=("chain", "retry"),
    ),
    # 2. Silence and permits
    _bug(
        "silence says that nothing was started",
        *TWICE,
        "known success",
        office=_deals(kept_by_one_away),
    ),
    _bug(
        "all permitted work is repeatable",
        *TWICE,
        "double run",
        office=_deals(permitted_to_one_away),
        first=4,
    ),
    _bug(
        "a robot starts without a permit",
        *TWICE,
        "double run",
        "lock",
        manners=_sees(sees_no_locks_nor_permits),
    ),
    _bug("any permit will do", *TWICE, "lock", manners=_sees(sees_any_permit)),
    _bug("a run is never stopped", "late", manners=Manners(heeds_time=False)),
    # 3. Allocations and claims
    _bug("a force does not raise the number", "seat", office=Office(force=force_under_one_number)),
    _bug(
        "an allocation come twice is taken twice",
        *TWICE,
        "ended",
        manners=Manners(takes_twice=True),
    ),
    _bug(
        "a former holder's report is the outcome",
        *TWICE,
        "ended",
        office=Office(sit=sit_by_any_report),
        often=("force",),
    ),
    _bug(
        "a late success is not heeded",
        "known success",
        office=Office(sit=dealing_rashly(known_to_be_done), retry=retry_what_is_done),
        often=("submit", "force"),
        first=20,
    ),
    _bug("what is not said was not given", "ended", *TWICE, office=_deals(said_nothing)),
    _bug(
        "a device lets go of a task without a word",
        "progress",
        manners=Manners(answer=lambda _tx, _chunk: None),
        often=("force",),
    ),
    _bug(
        "a device lets go of what it runs",
        "order",
        "lock",
        manners=Manners(answer=let_go_of_all),
        often=("tie", "force"),
        first=8,
    ),
    _bug(
        "its word that it lets go is not heeded",
        "progress",
        office=Office(react=deciding.react),
        often=("force",),
    ),
    # 5. Locks
    _bug("silence frees a lock", "lock", office=Office(look=look_past_silence), often=("submit",)),
    _bug("a lock is free before its claim ends", "lock", office=Office(look=look_past_unknown)),
    _bug("locks are granted one by one", "lock", office=Office(look=look_at_one_lock)),
    _bug("a device's own lock is overlooked", "lock", manners=Manners(sees=sees_no_own_locks)),
    # 6. Edges, groups, unique keys, queues
    _bug(
        "an edge opens before all has ended",
        "order",
        office=_deals(before_all_ended),
        often=("tie", "force"),
        first=4,
    ),
    _bug(
        "an unknown end opens an edge",
        "order",
        manners=Manners(status_of=takes_unknown_for_done),
        often=("chain", "submit", "drain"),
        first=46,
    ),
    _bug("successors are not asked back", "order", "recall", office=Office(force=force_alone)),
    _bug("a group goes to several devices", "group", office=_deals(of_a_group)),
    _bug(
        "a robot forgets the order of a group",
        "group",
        manners=Manners(heeds_groups=False),
        first=74,
    ),
    _bug(
        "every task of a unique key is admitted",
        "unique",
        office=Office(sit=sit_without_keys),
        often=("force",),
    ),
    _bug("a paused queue goes on", "paused", manners=Manners(heeds_pauses=False)),
    _bug(
        "a double run does not show",
        "double run",
        "order",
        office=Office(force=force_without_a_word),
    ),
    _bug(
        "every second run is a double one", "double run", office=Office(is_double=acted_under_two)
    ),
    # What else a task may ask for
    _bug("a task starts before its time", "early", manners=_sees(sees_no_start_time)),
    _bug("an expired task starts", "expiry", manners=_sees(sees_no_expiry)),
    _bug(
        "a deadline hurries nobody",
        "urgency",
        manners=Manners(sees=sees_no_deadline),
        often=("submit",),
        first=8,
    ),
    _bug("a silent run goes on", "silent", manners=Manners(heeds_silence=False)),
    _bug(
        "a silent run is not tried again",
        "afterwards",
        manners=Manners(conclude=give_up_when_silent),
    ),
    _bug("a no is taken for a yes", "check", manners=Manners(clear=take_no_for_yes)),
    _bug(
        "nobody's answer is taken for a yes", "check", manners=Manners(clear=take_nothing_for_yes)
    ),
    _bug("a yes holds for ever", "stale", manners=Manners(clear=take_yes_for_ever)),
    # 7. Merge
    _bug(
        "a former holder says nothing",
        "attempts",
        "progress",
        manners=Manners(testifies=False),
        often=("submit", "force"),
    ),
)
