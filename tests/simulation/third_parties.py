"""Those whom robots ask before a start: what HTTP brings back, and what it means by production.

What an answer says is read by ``agent/checks.py``, and what all answers mean for the task is
concluded by ``agent/clearance.py``. What stands here is what the network and the third party do.
"""

from collections.abc import Callable, Iterable, Mapping
from random import Random
from typing import NamedTuple

from agent import checks, clearance
from agent.clearance import Answer, Asking, Barred, Clearance
from agent.settings import CheckSettings
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Check
from tests.simulation.ground import Ground
from tests.simulation.node import Node

SETTINGS = CheckSettings("stock", "http://stock.test/check", timeout_s=3, again_s=4)
ANSWER_MS = 800  # that an answer takes, at most

Conclude = Callable[..., Clearance]


class Reply(NamedTuple):
    """What a third party means, and what reaches the robot; no body: nothing does in time."""

    ok: bool | None
    status: int = 200
    body: bytes | None = None


REPLIES = (
    *[Reply(True, body=b'{"ok": true}')] * 5,
    Reply(False, body=b'{"ok": false, "reason": "0 of 1 in stock", "again_s": 2}'),
    Reply(False, body=b'{"ok": false}'),
    Reply(None, 503, b"come back later"),
    Reply(None, body=b"<html>"),
    Reply(None),
)


class Clearances:
    """What one robot knows of the checks of its waiting tasks, as its backlog does."""

    def __init__(self, node: Node, ground: Ground, chance: Random, conclude: Conclude) -> None:
        self._node = node
        self._ground = ground
        self._chance = chance
        self._conclude = conclude
        self._waiting: set[str] = set()
        self._known: dict[str, Clearance] = {}

    @property
    def known(self) -> Mapping[str, Clearance]:
        """What is known, by task."""
        return self._known

    @property
    def barred(self) -> dict[str, str]:
        """Tasks that will not start, and why."""
        return {i: known.message for i, known in self._known.items() if isinstance(known, Barred)}

    def forget(self) -> None:
        """The process has ended."""
        self._waiting, self._known = set(), {}

    def keep(self, waiting: Iterable[str]) -> None:
        """Forget what is known of tasks that wait no more."""
        self._waiting = set(waiting)
        self._known = {i: known for i, known in self._known.items() if i in self._waiting}

    def asking(self, waiting: Iterable[Task]) -> list[Task]:
        """Return the tasks whose checks are being asked."""
        return [task for task in waiting if isinstance(self._known.get(task.id), Asking)]

    def ask(self, task: Task) -> None:
        """Ask all checks of a task at once; the last answer counts."""
        self._known[task.id] = clearance.asking(self._known.get(task.id))
        replies = [(check, self._chance.choice(REPLIES)) for check in task.spec.checks]
        delays = [
            0 if reply.body is not None else 1000 * SETTINGS.timeout_s for _, reply in replies
        ]
        delay_ms = round(max(delays)) + self._chance.randint(1, ANSWER_MS)

        def conclude() -> None:
            answers = [self._answer(task.id, check, reply) for check, reply in replies]
            known = self._conclude(task.spec.checks, answers, self._node.timeline.now_ms)
            if task.id in self._waiting:
                self._known[task.id] = known

        self._node.after(delay_ms, "is answered", conclude)

    def _answer(self, task: str, check: Check, reply: Reply) -> Answer:
        self._ground.answered(
            task, check.name, self._node.name, reply.ok, self._node.timeline.now_ms
        )
        if reply.body is None:
            return Answer(check.name, None, "no answer", SETTINGS.again_s)
        said = checks.read(SETTINGS, reply.status, reply.body)
        return Answer(check.name, said.ok, said.message, said.again_s)
