"""Asking third parties before a task starts, over HTTP.

The question is a POST of ``{"check", "task", "type", "payload", "requester", "ask"}``; the answer
is 200 with ``{"ok": true}`` or ``{"ok": false, "reason": "...", "again_s": 60}``. Whatever else
comes back, or nothing at all, is nobody's answer: the task's own policy applies. Whom a check's
name means is the device's setting, so that no task makes a device call an address of its choosing.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import msgspec
from aiohttp import ClientError, ClientSession, ClientTimeout

from agent import clearance
from agent.clearance import Answer, Clearance
from agent.settings import CheckSettings
from shared import tls
from shared.core.kinds.task import Task
from shared.core.kinds.task_spec import Check

ANSWER_BYTES_MAX = 64 * 1024
AGAIN_S_MAX = 24 * 3600.0
ASKING_MAX = 16  # questions under way: a slow party must not pile up connections
UNKNOWN_AGAIN_S = 60.0  # settings change with a restart only, but a task may be moved meanwhile
OK = 200

log = logging.getLogger(__name__)


class Said(msgspec.Struct, frozen=True):
    """Body of an answer; unknown fields are the third party's own."""

    ok: bool
    reason: Annotated[str, msgspec.Meta(max_length=2000)] | None = None
    again_s: Annotated[float, msgspec.Meta(gt=0, le=AGAIN_S_MAX)] | None = None


_said = msgspec.json.Decoder(Said).decode


class Checker:
    """Asks all checks of a task at once."""

    def __init__(
        self,
        checks: Sequence[CheckSettings],
        http: ClientSession | None,
        boot_ms: Callable[[], int],
    ) -> None:
        """Build a checker.

        Args:
            checks: Whom to ask, from the settings.
            http: The session to ask through; None where there is nobody to ask.
            boot_ms: Boot clock.
        """
        self._checks: Mapping[str, CheckSettings] = {check.name: check for check in checks}
        self._http = http
        self._boot_ms = boot_ms
        self._room = asyncio.Semaphore(ASKING_MAX)

    async def ask(self, task: Task) -> Clearance:
        """Ask each check of a task; return what the answers mean for it."""
        checks = task.spec.checks
        answers = await asyncio.gather(*(self._answer(task, check) for check in checks))
        return clearance.conclude(checks, answers, self._boot_ms())

    async def _answer(self, task: Task, check: Check) -> Answer:
        settings = self._checks.get(check.name)
        if settings is None or self._http is None:
            message = f"this device has no [[checks]] of the name {check.name}"
            return Answer(check.name, None, message, UNKNOWN_AGAIN_S)
        question = {
            "check": check.name,
            "task": task.id,
            "type": task.spec.type,
            "payload": task.spec.payload,
            "requester": task.spec.requester,
            "ask": check.ask,
        }
        try:
            async with self._room, asyncio.timeout(settings.timeout_s):
                return await _post(self._http, settings, msgspec.json.encode(question))
        except TimeoutError:
            message = f"no answer within {settings.timeout_s:g} s"
        except (ClientError, OSError) as error:
            message = str(error) or type(error).__name__
        return Answer(check.name, None, message, settings.again_s)


async def _post(http: ClientSession, settings: CheckSettings, question: bytes) -> Answer:
    headers = {"Content-Type": "application/json"}
    if settings.token is not None:
        headers["Authorization"] = f"Bearer {settings.token}"
    async with http.post(
        settings.url,
        data=question,
        headers=headers,
        allow_redirects=False,
        ssl=tls.of(settings.url),
        timeout=ClientTimeout(total=None),  # the caller bounds the whole of it
    ) as answer:
        body = await answer.content.read(ANSWER_BYTES_MAX + 1)
        while not answer.content.at_eof() and len(body) <= ANSWER_BYTES_MAX:
            body += await answer.content.read(ANSWER_BYTES_MAX + 1 - len(body))
    return read(settings, answer.status, body)


def read(settings: CheckSettings, status: int, body: bytes) -> Answer:
    """Return what an HTTP answer says."""
    name, again_s = settings.name, settings.again_s
    if status != OK:
        return Answer(name, None, f"it answered {status}", again_s)
    if len(body) > ANSWER_BYTES_MAX:
        return Answer(name, None, f"its answer is over {ANSWER_BYTES_MAX} bytes", again_s)
    try:
        said = _said(body)
    except msgspec.DecodeError as error:
        return Answer(name, None, f"its answer is none: {error}", again_s)
    reason = said.reason or ("yes" if said.ok else "no reason given")
    return Answer(name, said.ok, reason, said.again_s or again_s)
