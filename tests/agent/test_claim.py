"""What a move returns is what the record says: the dispatcher goes on with it, unread."""

from functools import partial
from pathlib import Path
from random import Random

import msgspec
import pytest

from agent import claim
from agent.attempt import Failed, Result, Stopped, Succeeded, conclude
from agent.timers import Stop
from shared.api import task_submission
from shared.api.task_submission import Submission
from shared.core.kinds import task as tasks
from shared.core.kinds import task_bodies
from shared.core.kinds.task import Task
from shared.core.kinds.task_bodies import CancelRequest, Failure, RecallRequest
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Signal, Status
from shared.core.record import Record
from shared.store.transaction import Transaction
from tests.agent.robot import SITE, append, open_journal
from tests.shared.making import NOW_MS
from tests.shared.tasks import ID

STEPS = 12


def decoded_anew(record: Record) -> Task | None:
    return tasks.read(Record(record.kind, record.subject, record.site, record.registers))


def submit(tx: Transaction, _chance: Random) -> None:
    spec = Spec("wait", {"s": 1}, Priority.NORMAL, "ann", max_attempts=2)
    append(tx, ID, "task.submitted", spec)
    origin = tx.node.writes[SITE]
    device, _, incarnation = origin.rpartition(".")
    append(
        tx,
        ID,
        "task.allocated",
        task_bodies.Seat(task_bodies.Allocation(None, 0, device, incarnation), (device,)),
    )


def step(tx: Transaction, chance: Random) -> None:
    """Make any move that a device can make, or ask for one."""
    task = tasks.read(tx.record("task", ID))
    assert task is not None
    attempt = task.attempt
    results: list[Result] = [
        Succeeded({"text": "é", "parts": [1, 2.5, None]}),
        Failed(Failure("broken", "it broke"), {"left": {}}),
        Stopped(Stop.TIMEOUT),
    ]
    result = chance.choice(results)
    conclusion = partial(conclude, result=result, now_ms=tx.now_ms, jitter=chance.random())
    match chance.randrange(8):
        case 0 | 1 | 2:
            claim.start(tx, ID, attempt_id=f"t-{chance.random()}", boot="b")
        case 3 | 4 if attempt is not None:
            claim.settle(tx, task, attempt, conclusion)
        case 5 if attempt is not None and task.status is Status.RUNNING:
            append(tx, ID, "task.cancel_requested", CancelRequest())
            claim.begin_cancel(tx, ID, attempt)
        case 6:
            append(tx, ID, "task.recall_requested", RecallRequest(None, 0))
            claim.give_back(tx, ID)
        case 7:
            claim.close(tx, ID, signal=Signal.CANCEL, reason="no more")
        case _:
            pass


@pytest.mark.parametrize("seed", range(40))
async def test_after_any_moves_a_record_tells_what_its_registers_say(
    tmp_path: Path, seed: int
) -> None:
    chance = Random(seed)
    async with open_journal(tmp_path, lambda: NOW_MS + chance.randrange(9**6)) as replica:
        await replica.write(partial(submit, _chance=chance))
        for _ in range(STEPS):

            def change(tx: Transaction) -> tuple[Task | None, Task | None]:
                step(tx, chance)
                record = tx.record("task", ID)
                return tasks.read(record), decoded_anew(record)

            told, is_so = await replica.write(change)
            assert told == is_so, f"seed {seed}"


SUBMISSIONS = (
    {"type": "wait", "payload": {"text": "é", "parts": [1, 2.5, None, -(2**63), 1e300]}},
    {"command": "echo hello", "priority": "high", "title": "Hello", "max_attempts": 1},
    {"type": "wait", "payload": {}, "locks": ["local:arm", "lift"], "group": "round"},
    {"type": "wait", "payload": {}, "device": "robot-9", "deadline": "2099-01-01T00:00:00Z"},
)


@pytest.mark.parametrize("asked", SUBMISSIONS)
@pytest.mark.parametrize("can_run", [True, False])
async def test_a_submission_that_is_kept_decoded_says_what_its_registers_say(
    tmp_path: Path, asked: dict[str, object], can_run: bool
) -> None:
    submission = msgspec.json.decode(msgspec.json.encode(asked), type=Submission)
    planned = task_submission.plan(submission, "ann", NOW_MS, lambda: ID)

    def change(tx: Transaction) -> tuple[object, Task | None, Task | None]:
        task_submission.submit(tx, planned, SITE, lambda _: can_run)
        record = tx.record("task", ID)
        return record.decoded, tasks.read(record), decoded_anew(record)

    async with open_journal(tmp_path, lambda: NOW_MS) as replica:
        kept, told, is_so = await replica.write(change)
    assert kept is told
    assert told == is_so
    assert msgspec.json.encode(told) == msgspec.json.encode(is_so)  # 1 is 1.0, but not as JSON


async def test_a_wish_that_came_before_the_submission_counts(tmp_path: Path) -> None:
    submission = Submission(type="wait", payload={})
    planned = task_submission.plan(submission, "ann", NOW_MS, lambda: ID)

    def change(tx: Transaction) -> tuple[Task | None, Task | None]:
        append(tx, ID, "task.cancel_requested", CancelRequest())
        task_submission.submit(tx, planned, SITE, lambda _: True)
        record = tx.record("task", ID)
        return tasks.read(record), decoded_anew(record)

    async with open_journal(tmp_path, lambda: NOW_MS) as replica:
        told, is_so = await replica.write(change)
    assert told == is_so
    assert told is not None
    assert told.cancel_asked
