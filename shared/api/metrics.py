"""``/metrics`` in Prometheus' text format.

Written here rather than by prometheus-client: both ends serve it, the agent must stay small, and
what is exported are numbers that the database or the node already keeps, no histograms. The
format is three lines a family.
"""

from collections import Counter
from collections.abc import Iterable

from shared.api.context import NodeContext, Sample
from shared.api.route import Answer, Call
from shared.store.transaction import Reading

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "skerry_"

TASKS = "SELECT status, sum(count) FROM task_counts WHERE status <> '' GROUP BY status"
ATTEMPTS = "SELECT outcome, count FROM attempt_counts"
EQUIPMENT = "SELECT coalesce(state, 'none'), count(*) FROM equipment WHERE retired = 0 GROUP BY 1"
BOOKINGS = "SELECT status, count FROM booking_counts"
RESOURCES = "SELECT count(*) FROM resources WHERE retired = 0"
CONFLICTS = "SELECT count(*) FROM conflicts WHERE status = 'open'"

HELP = {
    "info": "The node: role, id and version in labels.",
    "position": "Changes of records that this node has seen.",
    "parked_events": "Events that this node does not understand yet.",
    "tasks": "Tasks by journaled status.",
    "attempts": "Attempts that this node knows of, by outcome; running ones too.",
    "equipment": "Equipment in use by shown state.",
    "bookings": "Bookings that this node knows of, by status.",
    "resources": "What can be booked.",
    "conflicts_open": "Conflicts that wait for a person.",
    "http_requests_total": "Requests answered, by verb and status.",
    "live_listeners": "Open live connections.",
    "devices_connected": "Devices whose session is open.",
    "uplink_connected": "Whether the session with the hub is open.",
    "uplink_backlog": "Events written here that the hub does not hold.",
}


class RequestCounter:
    """Counts answered requests; verbs and statuses are few, so it is bounded."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    def count(self, method: str, status: int) -> None:
        """Count one request."""
        known = method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        self._counts[method if known else "other", status] += 1

    def samples(self) -> Iterable[Sample]:
        """Return the counts."""
        for (method, status), count in sorted(self._counts.items()):
            labels = {"method": method, "status": str(status)}
            yield Sample("http_requests_total", count, labels)


async def answer(call: Call, samples: Iterable[Sample]) -> Answer:
    """Return all numbers of this node, with those that the caller adds."""
    context = call.context
    stored = await context.replica.read(_stored)
    every = [*_of_node(context), *stored, *samples, *context.samples()]
    return Answer(200, text(every).encode(), content_type=CONTENT_TYPE)


def text(samples: Iterable[Sample]) -> str:
    """Return samples in the text format, families together."""
    families: dict[str, list[Sample]] = {}
    for sample in samples:
        families.setdefault(sample.name, []).append(sample)
    lines = []
    for name, family in families.items():
        kind = "counter" if name.endswith("_total") else "gauge"
        if name in HELP:
            lines.append(f"# HELP {PREFIX}{name} {HELP[name]}")
        lines.append(f"# TYPE {PREFIX}{name} {kind}")
        lines += [f"{PREFIX}{name}{_labels(s)} {s.value!r}" for s in family]
    return "\n".join(lines) + "\n"


def _labels(sample: Sample) -> str:
    if not sample.labels:
        return ""
    pairs = ",".join(f'{key}="{_escaped(value)}"' for key, value in sample.labels.items())
    return f"{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _of_node(context: NodeContext) -> Iterable[Sample]:
    node = context.replica.node
    labels = {"role": context.role, "id": context.id, "version": context.version}
    yield Sample("info", 1, labels)
    yield Sample("position", node.position)
    yield Sample("parked_events", node.parked)


def _stored(reading: Reading) -> list[Sample]:
    tasks = [Sample("tasks", n, {"status": s}) for s, n in reading.query(TASKS)]
    attempts = [
        Sample("attempts", n, {"outcome": outcome or "running"})
        for outcome, n in reading.query(ATTEMPTS)
    ]
    equipment = [Sample("equipment", n, {"state": s}) for s, n in reading.query(EQUIPMENT)]
    bookings = [Sample("bookings", n, {"status": s}) for s, n in reading.query(BOOKINGS)]
    ((resources,),) = reading.query(RESOURCES)
    ((open_conflicts,),) = reading.query(CONFLICTS)
    bookable = [*bookings, Sample("resources", resources)]
    return [*tasks, *attempts, *equipment, *bookable, Sample("conflicts_open", open_conflicts)]
