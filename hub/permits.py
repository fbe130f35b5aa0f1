"""The hub's leave to start a claim, and the locks that come with it; inside a transaction.

A request is granted once its task is current, nobody asked to cancel or recall it, its device is
here and all its locks are free. Requests that wait stand in ``start_requests``, locks that are
held in ``locks``. A lock comes free when its claim has ended, or when a person says so; never by
silence. Whatever comes late or twice names another claim, or one that was answered.
"""

from collections.abc import Iterable, Set
from typing import Any

import msgspec

from hub import locks
from hub.locks import Blocked, Held, Request
from shared.api import task_events
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import Claim, Permit
from shared.core.lifecycle import ENDED, Status
from shared.core.waiting import Reason, Waiting
from shared.errors import NotFound
from shared.store.transaction import Reading, Transaction

ACTOR = "hub"

ASKED = """INSERT INTO start_requests (task, site, epoch, n, attempt) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (task) DO NOTHING"""
FORGET = "DELETE FROM start_requests WHERE task = $1"
FORGET_OTHERS = """DELETE FROM start_requests WHERE task = $1
    AND NOT (epoch = $2 AND n = $3 AND attempt = $4)"""
REQUESTS = "SELECT task FROM start_requests ORDER BY seq"
HELD = """SELECT site, name, task, epoch, n, attempt, device, granted_at FROM locks
    ORDER BY site, name"""
HELD_BY = "SELECT DISTINCT epoch, n, attempt FROM locks WHERE task = $1"
HOLD = """INSERT INTO locks (site, name, task, epoch, n, attempt, device, granted_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
FREE = "DELETE FROM locks WHERE task = $1 AND epoch = $2 AND n = $3 AND attempt = $4"
FREE_ALL = "DELETE FROM locks WHERE task = $1"
FREE_ONE = "DELETE FROM locks WHERE site = $1 AND name = $2"
HOLDER = "SELECT task, epoch, n, attempt FROM locks WHERE site = $1 AND name = $2"
OUTCOME = """SELECT outcome FROM attempts
    WHERE task = $1 AND epoch = $2 AND n = $3 AND number = $4 AND ended_at IS NOT NULL"""
WRITES = "SELECT incarnation FROM devices WHERE id = $1"


class LockRow(msgspec.Struct, frozen=True):
    """A lock that is held, as the table has it."""

    site: str
    name: str
    task: str
    epoch: str
    n: int
    attempt: int
    device: str
    granted_ms: int

    @property
    def claim(self) -> Claim:
        """The claim that holds it."""
        return Claim(self.epoch or None, self.n, self.attempt)


# ------------------------------------------------------------------ requests and grants


def look(tx: Transaction, changed: Iterable[str], connected: Set[str]) -> dict[str, Waiting]:
    """Take note of tasks that changed, and grant what can be granted now.

    Args:
        tx: The hub's transaction.
        changed: Tasks that have asked for a permit at some time.
        connected: Devices whose session is open.

    Returns:
        Why each request that could be granted otherwise waits for a lock, by task.
    """
    for task_id in changed:
        task = tasks.read(tx.record("task", task_id))
        if task is not None:
            _note(tx, task)
    by_site: dict[str, list[Request]] = {}
    known: dict[str, Task] = {}
    for (task_id,) in tx.query(REQUESTS):
        task = tasks.read(tx.record("task", task_id))
        if task is None or not _may_be_granted(tx, task, connected):
            continue
        known[task_id] = task
        assert task.start_asked is not None
        request = Request(task_id, task.start_asked, task.spec.shared_locks)
        by_site.setdefault(task.site, []).append(request)
    if not known:
        return {}
    waits: dict[str, Waiting] = {}
    for site, requests in by_site.items():
        held = {
            row.name: Held(row.task, row.claim, row.device, row.device not in connected)
            for row in rows(tx)
            if row.site == site
        }
        decision = locks.decide(requests, held)
        for request in decision.granted:
            _grant(tx, known[request.task], request)
        waits |= {task_id: _waiting(why) for task_id, why in decision.blocked.items()}
    return waits


def _note(tx: Transaction, task: Task) -> None:
    """Keep the newest open request of a task, and free what its ended claims held."""
    for epoch, n, attempt in tx.query(HELD_BY, task.id):
        if _has_ended(tx, task, Claim(epoch or None, n, attempt)):
            tx.execute(FREE, task.id, epoch, n, attempt)
    asked = task.start_asked
    is_open = asked is not None and asked == task.next_claim and not task.is_permitted
    if asked is None or not is_open or task.status is not Status.WAITING or task.is_returned:
        tx.execute(FORGET, task.id)
        return
    claim = (asked.epoch or "", asked.n, asked.attempt)
    tx.execute(FORGET_OTHERS, task.id, *claim)
    tx.execute(ASKED, task.id, task.site, *claim)


def _may_be_granted(tx: Transaction, task: Task, connected: Set[str]) -> bool:
    given, asked = task.allocation, task.start_asked
    if given is None or asked is None or asked != task.next_claim:
        return False
    if task.status is not Status.WAITING or task.is_returned or task.is_permitted:
        return False
    if task.cancel_asked or task.recall is not None or given.epoch != tx.node.epoch:
        return False
    if given.device not in connected:
        return False
    return bool(tx.query(WRITES, given.device) == [(given.incarnation,)])


def _grant(tx: Transaction, task: Task, request: Request) -> None:
    claim = request.claim
    assert task.allocation is not None
    for lock in request.locks:
        place = (task.site, lock, task.id, claim.epoch or "", claim.n, claim.attempt)
        tx.execute(HOLD, *place, task.allocation.device, tx.now_ms)
    permit = Permit(claim, request.locks)
    task_events.append(tx, task.id, task.site, "task.permitted", permit, ACTOR)
    tx.execute(FORGET, task.id)


def _has_ended(tx: Reading, task: Task, claim: Claim) -> bool:
    """Say whether nothing runs under a claim any more, nor will."""
    if claim.n in task.seat.over:
        return True
    given = task.allocation
    if given is not None and (given.epoch, given.n) == (claim.epoch, claim.n):
        if task.status is Status.UNKNOWN:
            return False  # it may still act; a person settles it
        if task.status in ENDED or task.is_returned:
            return True
        if task.status is Status.WAITING:
            return task.attempts_made >= claim.attempt
    found = tx.query(OUTCOME, task.id, claim.epoch or "", claim.n, claim.attempt)
    return bool(found) and found[0][0] != task_bodies.Outcome.UNKNOWN.value


def _waiting(why: Blocked) -> Waiting:
    has = "has it and nobody hears its device" if why.suspect else "has it or is to have it first"
    reason = Reason("lock", why.task, f"waits for the lock {why.lock}: {why.task} {has}")
    return Waiting(Status.BLOCKED, (reason,))


# ------------------------------------------------------------------ locks in a person's hands


def rows(reading: Reading) -> list[LockRow]:
    """Return the locks that are held, by site and name."""
    found: list[tuple[Any, ...]] = reading.query(HELD)
    return [LockRow(*row) for row in found]


def release_all(tx: Transaction, task_id: str) -> None:
    """Free all that a task holds: a person has said that it is over, or given it elsewhere."""
    tx.execute(FREE_ALL, task_id)


def release(tx: Transaction, site: str, name: str, *, reason: str, actor: str) -> str:
    """Free one lock, because a person says that nobody uses it; the journal keeps who and why.

    A claim that has not started loses its permit and all its locks, and asks anew; one that runs
    goes on without this lock.

    Returns:
        The task that held it.

    Raises:
        NotFound: Nobody holds it.
    """
    found = tx.query(HOLDER, site, name)
    if not found:
        raise NotFound(f"nobody holds the lock {name}")
    task_id, epoch, n, attempt = found[0]
    task = tasks.read(tx.record("task", task_id))
    assert task is not None, "locks are held by tasks"
    words = f"lock {name} released by {actor}: {reason}"
    permit = task.permit
    assert permit is not None, "locks come with permits"
    if task.status is Status.WAITING and task.is_permitted and permit.claim.n == n:
        tx.execute(FREE, task_id, epoch, n, attempt)
        permit = Permit(Claim(permit.claim.epoch, n, 0), (), words)
    else:
        tx.execute(FREE_ONE, site, name)
        is_current = permit.claim == Claim(epoch or None, n, attempt)
        left = tuple(lock for lock in permit.locks if not (is_current and lock == name))
        permit = Permit(permit.claim, left, words)
    task_events.append(tx, task.id, task.site, "task.permitted", permit, actor)
    return str(task_id)
