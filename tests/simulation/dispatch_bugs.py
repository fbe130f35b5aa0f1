"""Dispatch rules left out one at a time: the observer beside the robots must notice each.

The rules and their shortest counterexamples are those of the dispatch model; each planted hub or
robot keeps all of them but one.
"""

from collections.abc import Callable, Set
from typing import Any

import msgspec

from agent import claim as claims
from hub import allocation, evidence, force, groups, locks, permits, recall, retry, seating, unique
from hub.allocation import Choice, DeviceState
from hub.round import Round, Terms
from hub.seats import write_seat
from shared.api import task_actions, task_events
from shared.core.kinds import task as tasks
from shared.core.kinds.task import Attempt, Progress, RecallRequest, Task
from shared.core.kinds.task_spec import OnOrphan
from shared.core.lifecycle import ACTING, Status
from shared.core.waiting import why
from tests.simulation.desk import Office
from tests.simulation.robots import Manners


class DispatchBug(msgspec.Struct, frozen=True):
    """One rule left out.

    Attributes:
        name: What is wrong.
        office: The hub with that fault, or the honest one.
        manners: The robots with that fault, or honest ones.
        caught_by: Names of the comparisons that may notice first.
        first: Seed to begin with: rare ones, such as a person who cancels behind a cut link, would
            take a minute from the first.
    """

    name: str
    office: Office
    manners: Manners
    caught_by: frozenset[str]
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
    return is_open and _is_ready(tx, task)


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


# ------------------------------------------------------------------ robots


def _any_permit(task: Task) -> bool:
    """Take the permit of an earlier claim for one of the next."""
    given = task.allocation
    return task.spec.asks_hub and given is not None and task.permit is None


def _start_anyway(tx: Any, task_id: str, *, attempt_id: str, boot: str) -> Task | None:
    """Start without the second look at the permit that production takes in the transaction."""
    task = tasks.read(tx.record("task", task_id))
    if task is None or task.status is not Status.WAITING or not claims.is_ours(task, tx.node):
        return task
    attempt = Attempt(id=attempt_id, number=task.attempts_made + 1, boot=boot, started_ms=tx.now_ms)
    return claims.report(tx, task, Progress(Status.RUNNING, task.allocation, attempt))


def _bug(
    name: str,
    *caught_by: str,
    office: Office | None = None,
    manners: Manners | None = None,
    first: int = 0,
) -> DispatchBug:
    return DispatchBug(name, office or Office(), manners or Manners(), frozenset(caught_by), first)


def _deals(is_rash: Rash) -> Office:
    return Office(sit=dealing_rashly(is_rash))


DISPATCH_BUGS = (
    _bug(
        "a status is written by one who does not sit",
        "ended",
        "exclusive",
        office=Office(cancel=cancel_at_once),
        first=60,
    ),
    _bug("a group goes to several devices", "group", office=_deals(of_a_group)),
    _bug("every task of a unique key is admitted", "unique", office=Office(sit=sit_without_keys)),
    _bug("silence says that nothing was started", "exclusive", office=_deals(kept_by_one_away)),
    _bug("all permitted work is repeatable", "exclusive", office=_deals(permitted_to_one_away)),
    _bug("an edge opens before all has ended", "order", office=_deals(before_all_ended), first=15),
    _bug("successors are not asked back", "order", office=Office(force=force_alone)),
    _bug("a started successor does not bar", "order", office=Office(retry=retry_unknown)),
    _bug("silence frees a lock", "lock", office=Office(look=look_past_silence)),
    _bug("a lock is free before its claim ends", "lock", office=Office(look=look_past_unknown)),
    _bug("locks are granted one by one", "lock", office=Office(look=look_at_one_lock)),
    _bug(
        "any permit will do",
        "lock",
        "exclusive",
        manners=Manners(needs_permit=_any_permit, start=_start_anyway),
    ),
    _bug(
        "a robot starts without a permit",
        "exclusive",
        "lock",
        manners=Manners(needs_permit=lambda task: False, start=_start_anyway),
    ),
    _bug(
        "an orphan simply starts again",
        "exclusive",
        manners=Manners(after_crash=lambda task: OnOrphan.REQUEUE),
    ),
    _bug(
        "the end is written before the stop",
        "exclusive",
        "group",
        "lock",
        "order",
        manners=Manners(stops_first=False),
    ),
)
