"""What a schedule does in a transaction: submit the tasks that are due, and note how far it is.

Submissions and mark are one write, and a slot's task has one id: killed at any point, told twice or
run by two processes, a slot gets its task once.
"""

import logging

import msgspec

from hub import cron
from shared.api import task_submission
from shared.api.task_submission import Submission
from shared.core import zones
from shared.core.kinds import schedule as schedules
from shared.core.kinds import task as tasks
from shared.core.kinds.schedule import Schedule
from shared.errors import Rejected
from shared.store.transaction import Reading, Transaction

KIND = "schedule"

FIND = "SELECT upto, last_slot, last_task, last_error FROM schedule_marks WHERE schedule = $1"
WRITE = """INSERT INTO schedule_marks (schedule, upto, last_slot, last_task, last_error)
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (schedule) DO UPDATE SET upto = excluded.upto,
    last_slot = excluded.last_slot, last_task = excluded.last_task,
    last_error = excluded.last_error"""

log = logging.getLogger(__name__)


class Mark(msgspec.Struct, frozen=True):
    """How far a schedule has got, as in ``schedule_marks``."""

    upto_ms: int
    last_slot_ms: int | None = None
    last_task: str | None = None
    last_error: str | None = None


def mark(reading: Reading, schedule_id: str) -> Mark | None:
    """Return how far a schedule has got; None before it was started."""
    rows = reading.query(FIND, schedule_id)
    return Mark(*rows[0]) if rows else None


def start(tx: Transaction, schedule_id: str, now_ms: int) -> None:
    """Let a schedule count from now: it is new, has other times, or goes on after a pause."""
    known = mark(tx, schedule_id) or Mark(now_ms)
    _write(tx, schedule_id, msgspec.structs.replace(known, upto_ms=now_ms, last_error=None))


def next_ms(schedule: Schedule, known: Mark | None) -> int | None:
    """Return the next slot that is not settled, Unix ms; None if there is none.

    Raises:
        Refused: This version or this system does not know its times any more.
    """
    if schedule.paused or known is None:
        return None
    zone = zones.find(schedule.plan.timezone)
    return next(cron.following(schedule.plan.cron, zone, known.upto_ms), None)


def fire(tx: Transaction, schedule_id: str, now_ms: int) -> None:
    """Submit a task for each slot of a schedule that is due.

    Args:
        tx: The transaction.
        schedule_id: One that may be paused or deleted by now.
        now_ms: Wall clock, Unix ms.
    """
    schedule = schedules.read(tx.record(KIND, schedule_id))
    known = mark(tx, schedule_id)
    if schedule is None or schedule.paused or known is None or now_ms <= known.upto_ms:
        return
    if schedule.site not in tx.node.writes:
        return  # taken out of the settings: its slots wait, as its records do
    plan = schedule.plan
    slots = cron.due(
        plan.cron,
        zones.find(plan.timezone),
        upto_ms=known.upto_ms,
        now_ms=now_ms,
        catch_up=plan.catch_up,
        catch_up_max=plan.catch_up_max,
    )
    known = msgspec.structs.replace(known, upto_ms=now_ms)
    for slot in slots:
        known = _submit(tx, schedule, slot, known)
    _write(tx, schedule_id, known)


def _submit(tx: Transaction, schedule: Schedule, slot_ms: int, known: Mark) -> Mark:
    """Submit a slot's task; a refusal is noted and does not stop the other slots."""
    task_id = cron.task_id(schedule.id, slot_ms)
    if tasks.read(tx.record("task", task_id)) is None:
        try:
            asked = msgspec.convert({**schedule.plan.task, "id": task_id}, Submission)
            planned = task_submission.plan(asked, schedule.plan.requester, slot_ms, str)
            task_id, _ = task_submission.submit(tx, planned, schedule.site)
        except (Rejected, msgspec.ValidationError) as error:
            log.warning("schedule %s: its task was refused: %s", schedule.id, error)
            return msgspec.structs.replace(known, last_error=str(error))
    return Mark(known.upto_ms, slot_ms, task_id)


def _write(tx: Transaction, schedule_id: str, known: Mark) -> None:
    tx.execute(
        WRITE, schedule_id, known.upto_ms, known.last_slot_ms, known.last_task, known.last_error
    )
