"""One round of sitting, inside a transaction: each task as it is by then, and what the hub does."""

import logging
from collections.abc import Iterable, Mapping

import msgspec

from hub import allocation, dealing, silence
from hub.allocation import DeviceState
from hub.round import Room, Round, Terms
from hub.seats import take_returned
from shared.core.kinds import task as tasks
from shared.errors import Rejected
from shared.store.transaction import Transaction

log = logging.getLogger(__name__)


def sit(
    tx: Transaction, batch: Iterable[str], devices: Mapping[str, DeviceState], terms: Terms
) -> Round:
    """Do what is due for tasks: allocate, take back, cancel, or leave them waiting.

    Args:
        tx: The transaction.
        batch: Ids, of which some may be over or seated by now.
        devices: The fleet.
        terms: Clock and settings.
    """
    room = Room(tx, devices)
    found = Round()
    for task_id in batch:
        try:
            _look(tx, task_id, room, terms, found)
        except (Rejected, msgspec.MsgspecError):
            log.exception("task %s cannot be allocated; looked at again when it changes", task_id)
    return found


def _look(tx: Transaction, task_id: str, room: Room, terms: Terms, found: Round) -> None:
    record = tx.record("task", task_id)
    task = tasks.read(record)
    if task is None or task.status not in allocation.GOING_ON:
        return
    if task.is_returned:
        task = take_returned(tx, task)
        record = tx.record("task", task_id)
    if task.allocation is not None:
        silence.look(tx, task, room, terms, found)
    elif not dealing.is_ended(tx, task, terms, found):
        dealing.deal(tx, task, record, room, terms, found)
