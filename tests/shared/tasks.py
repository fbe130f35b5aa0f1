"""Tasks for tests, short to write: records, allocations and moves."""

from typing import Any

from shared.core import record as records
from shared.core.event import Event
from shared.core.kinds.task import Task, read
from shared.core.kinds.task_bodies import (
    REGISTER_OF,
    SEAT,
    SPEC,
    STATUS,
    Allocation,
    Attempt,
    Outcome,
    Progress,
    Seat,
)
from shared.core.kinds.task_spec import Priority, Spec
from shared.core.lifecycle import Status
from shared.core.record import Record
from tests.shared.making import NOW_MS, event, fold_all

ID = "01933b5e-0000-7000-8000-000000000001"
BEFORE = "01933b5e-0000-7000-8000-000000000000"
SPEC_BODY = Spec(type="wait", payload={"seconds": 1}, priority=Priority.LOW, requester="ann")
KIND_OF = {register: kind for kind, register in REGISTER_OF.items()}
FIRST = Allocation("e1", 1, "robot", "1")
SECOND = Allocation("e1", 2, "other", "1")
OWN = Allocation(None, 0, "robot", "1")


def written(
    origin: str, seq: int, register: str, body: Any, *, at_ms: int = NOW_MS, **seen: int
) -> Event:
    kind = KIND_OF[register]
    return event(
        origin, seq, seen, kind=kind, subject=ID, register=register, body=body, at_ms=at_ms
    )


def record(*found: Event) -> Record:
    made = Record("task", ID)
    for name in {e.header.register for e in found}:
        mine = [e for e in found if e.header.register == name]
        made = records.with_register(made, name, fold_all(mine), "demo")
    return made


def task(*found: Event) -> Task:
    made = read(record(*found))
    assert made is not None
    return made


def attempt(number: int, outcome: Outcome | None = None) -> Attempt:
    return Attempt(f"t-{number}", number, "boot", NOW_MS, None, outcome)


SUBMITTED = written("hub.1", 1, SPEC, SPEC_BODY)
SEATED = written("hub.1", 2, SEAT, Seat(FIRST, ("robot",)))
MOVED = written("hub.1", 3, SEAT, Seat(SECOND, ("robot", "other")), **{"hub.1": 2})
RUNS = written("robot.1", 1, STATUS, Progress(Status.RUNNING, FIRST, attempt(1)))
