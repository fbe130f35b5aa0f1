"""The Protocol that every handler keeps, and the values that cross it.

A handler of your own comes as an entry point of the group ``skerry.handlers``: its name is the
task type, its object is called without arguments and returns the handler.

    [project.entry-points."skerry.handlers"]
    deliver = "my_robot.deliver:Deliver"
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from shared.core.kinds.task import Failure
from shared.errors import SkerryError

Output = Mapping[str, Any]
"""What an attempt leaves for people: keys of the handler's choice, values that JSON can hold."""


class Run(msgspec.Struct, frozen=True):
    """One run of a task.

    Attributes:
        task_id: The task.
        attempt_id: This run of it; children of a process carry it.
        number: Which run, from 1.
        payload: As submitted; ``check`` has passed it.
        idempotency_key: The same for every run of the task: hand it to whatever acts outside, so
            that a run repeated after a crash can be recognised there.
        folder: Data folder of the agent.
    """

    task_id: str
    attempt_id: str
    number: int
    payload: Mapping[str, Any]
    idempotency_key: str
    folder: Path


class HandlerFailed(SkerryError):
    """The run ended without success, and the handler knows why.

    Attributes:
        failure: Kind, sentence, and whether another attempt is of no use.
        output: What it left nevertheless.
    """

    def __init__(self, failure: Failure, output: Output | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.output = output


class Handler(Protocol):
    """Runs tasks of one type."""

    @property
    def type(self) -> str:
        """Type of the tasks that it runs."""

    @property
    def timeout_s(self) -> float:
        """How long a run may take if its task does not say, seconds."""

    def check(self, payload: Mapping[str, Any]) -> None:
        """Say whether a payload can be run at all; quick, and without effect.

        Raises:
            Rejected: With the place of what is wrong, ``$.payload.argv``. The task is not retried.
        """

    async def run(self, run: Run) -> Output:
        """Do it, never blocking the loop; return once it has really ended.

        Being cancelled means: stop. Then end what acts, within seconds, before the CancelledError
        goes on. A run that could not be stopped any more may return what it achieved.

        Raises:
            HandlerFailed: It did not succeed. Any other exception counts as a failure to retry.
        """
