"""How tasks went in a window of time: throughput, durations, failures, by type or device.

Read from the attempts that ended in the window, through an index on when, newest first and a
bounded number of them; the answer says from when on it is complete. Durations are differences of
clocks that may be two devices', so a wait that seems negative counts as none.
"""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from shared.api import body as bodies
from shared.api.route import Answer, Call, Route, json
from shared.core import instants
from shared.core.kinds.task_bodies import Outcome
from shared.store.transaction import Reading

WINDOW_S_DEFAULT = 3600
WINDOW_S_MAX = 31 * 24 * 3600
ATTEMPTS_MAX = 10_000  # that an answer looks at: some 50 ms

# A task is asked for by its key, so SQLite must begin with the attempts.
ENDED = """SELECT a.ended_at, a.started_at, a.outcome, a.device, t.type, t.created_at,
        (SELECT min(e.started_at) FROM attempts e WHERE e.task = a.task)
    FROM attempts a CROSS JOIN tasks t ON t.id = a.task
    WHERE a.ended_at > $1 AND a.ended_at <= $2 ORDER BY a.ended_at DESC LIMIT $3"""


class MetricsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Query of the metrics: the window ends now."""

    window_s: Annotated[int, msgspec.Meta(ge=1, le=WINDOW_S_MAX)] = WINDOW_S_DEFAULT
    by: Literal["type", "device"] = "type"


class Percentiles(msgspec.Struct, frozen=True):
    """Durations in seconds that half, nine tenths and all but a hundredth do not exceed."""

    p50: float
    p90: float
    p99: float


class Measures(msgspec.Struct, frozen=True):
    """How some attempts went.

    Attributes:
        attempts: That ended in the window.
        outcomes: Of these, every outcome, zeros too.
        per_s: Throughput: attempts ended a second.
        retries: Attempts that were not their task's first.
        failure_rate: Share that did not succeed, among those that nobody cancelled; null: none.
        wait_s: From submission to the start of a task's first attempt; null: no first attempts.
        run_s: From start to end of an attempt; null: none.
    """

    attempts: int
    outcomes: dict[str, int]
    per_s: float
    retries: int
    failure_rate: float | None
    wait_s: Percentiles | None
    run_s: Percentiles | None


class TaskMetrics(msgspec.Struct, frozen=True):
    """Answer.

    Attributes:
        start: Beginning of the window that was looked at; sent as ``from``.
        to: Its end: now.
        by: What the groups are.
        complete: Whether that is the whole window; else so much ended in it that only the newest
            part was looked at.
        total: All together.
        groups: By type or device, those of which something ended.
    """

    start: str = msgspec.field(name="from")
    to: str
    by: str
    complete: bool
    total: Measures
    groups: dict[str, Measures]


class _Ended(msgspec.Struct, frozen=True):
    """A row of ENDED."""

    ended_ms: int
    started_ms: int
    outcome: str | None
    device: str
    type: str
    created_ms: int
    first_ms: int

    @property
    def is_first(self) -> bool:
        return self.started_ms <= self.first_ms


async def answer(call: Call) -> Answer:
    """Return how tasks went."""
    asked = bodies.query(call.request, MetricsQuery)
    now_ms = call.context.now_ms()
    return json(await call.context.replica.read(lambda r: measure(r, asked, now_ms)))


def measure(
    reading: Reading, asked: MetricsQuery, now_ms: int, attempts_max: int = ATTEMPTS_MAX
) -> TaskMetrics:
    """Measure the attempts that ended in a window.

    Args:
        reading: One state of the database.
        asked: The window, and what to group by.
        now_ms: Its end, Unix ms.
        attempts_max: How many to look at.
    """
    start_ms = now_ms - 1000 * asked.window_s
    rows: list[Any] = reading.query(ENDED, start_ms, now_ms, attempts_max + 1)
    complete = len(rows) <= attempts_max
    found = [_Ended(*row) for row in rows[:attempts_max]]
    if not complete:
        start_ms = min(found[-1].ended_ms, now_ms - 1)
    groups: dict[str, list[_Ended]] = {}
    for one in found:
        groups.setdefault(one.device if asked.by == "device" else one.type, []).append(one)
    window_s = (now_ms - start_ms) / 1000
    return TaskMetrics(
        start=instants.text(start_ms),
        to=instants.text(now_ms),
        by=asked.by,
        complete=complete,
        total=_measures(found, window_s),
        groups={name: _measures(groups[name], window_s) for name in sorted(groups)},
    )


def _measures(found: Sequence[_Ended], window_s: float) -> Measures:
    outcomes = {outcome.value: 0 for outcome in Outcome}
    for one in found:
        if one.outcome is not None:
            outcomes[one.outcome] += 1
    judged = sum(outcomes.values()) - outcomes[Outcome.CANCELLED.value]
    failed = judged - outcomes[Outcome.SUCCEEDED.value]
    firsts = [one for one in found if one.is_first]
    return Measures(
        attempts=len(found),
        outcomes=outcomes,
        per_s=len(found) / window_s,
        retries=len(found) - len(firsts),
        failure_rate=failed / judged if judged else None,
        wait_s=percentiles(one.started_ms - one.created_ms for one in firsts),
        run_s=percentiles(one.ended_ms - one.started_ms for one in found),
    )


def percentiles(durations_ms: Iterable[int]) -> Percentiles | None:
    """Return percentiles by nearest rank; None of nothing."""
    ordered = sorted(max(0, ms) for ms in durations_ms)
    if not ordered:
        return None
    p50, p90, p99 = (ordered[-(-share * len(ordered) // 100) - 1] / 1000 for share in (50, 90, 99))
    return Percentiles(p50, p90, p99)


ROUTES = (
    Route(
        method="GET",
        path="/api/tasks/metrics",
        handler=answer,
        summary="Throughput, durations and failures in a window, by type or device",
        query=MetricsQuery,
        answer=TaskMetrics,
    ),
)
