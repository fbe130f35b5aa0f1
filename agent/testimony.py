"""What a device says of allocations that are its own no longer: evidence, which ends a doubt.

Said in the transaction in which the device learns that a task was taken from it, or in which its
last run of it there ends: nothing can start in between, and no restart forgets to say it.
"""

from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task_bodies import Outcome, Progress
from shared.core.lifecycle import Status
from shared.core.record import Record
from shared.store import down
from shared.store.transaction import Transaction
from shared.sync.frame import Down

RUNS = "SELECT 1 FROM attempts WHERE task = $1 AND device = $2 AND ended_at IS NULL LIMIT 1"
LAST = """SELECT outcome FROM attempts WHERE task = $1 AND epoch = $2 AND n = $3 AND device = $4
    ORDER BY number DESC LIMIT 1"""
# Its device would have run it again under the same allocation, and now never will.
RETRIED = (None, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.LOST)


def take(tx: Transaction, chunk: Down) -> int:
    """Take a chunk of the hub's feed, and answer what it takes away; return the cursor.

    Raises:
        BadFrame: It does not continue what is held here. Nothing is stored.
    """
    cursor = down.take(tx, chunk)
    answer(tx, chunk)
    return cursor


def answer(tx: Transaction, chunk: Down) -> None:
    """Let go of the tasks that a chunk, just taken, gives to others."""
    for state in chunk.registers:
        if (state.kind, state.name) == ("task", task_bodies.SEAT):
            let_go(tx, tx.record("task", state.subject))


def let_go(tx: Transaction, record: Record) -> None:
    """Say of each allocation taken from this journal that nothing runs under it, nor will.

    Nothing is said while it runs here, nor of one that ended otherwise: that end was reported. Of a
    run whose outcome nobody knows (``unknown``) only a person can say that it is over.
    """
    origin = tx.node.writes.get(record.site)
    mine = [one for one in tasks.seat_of(record).doubtful if one.origin == origin]
    if not mine or tx.query(RUNS, record.subject, tx.node.device):
        return
    for allocation in mine:
        key = (record.subject, allocation.epoch or "", allocation.n, allocation.device)
        found = tx.query(LAST, *key)
        last = found[0][0] if found else None
        if last in RETRIED and not tasks.is_let_go(record, allocation):
            how = "runs it no more" if found else "had not started it"
            reason = f"{allocation.device} {how}"
            testify(tx, record, Progress(Status.WAITING, allocation, reason=reason, returned=True))


def testify(tx: Transaction, record: Record, progress: Progress) -> None:
    """Report under an allocation that is no longer: evidence, by which no order or lock waits.

    It has seen only what this device said itself under that allocation: else it would replace what
    the new holder says, or this device under a newer one, which must count as it was.
    """
    origin = tx.node.writes[record.site]
    said = tasks.last_said(record, origin, progress.allocation)
    tx.append(
        site=record.site,
        kind="task.status",
        subject=record.subject,
        register=task_bodies.STATUS,
        body=progress,
        actor=tx.node.device,
        seen={origin: said},
    )
