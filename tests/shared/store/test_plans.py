"""Query plans: no scan of a table that grows, no sorting where an index gives the order."""

import re

import pytest

from agent.news import GROUPED
from shared.api.task_submission import UNFINISHED_ALIKE
from shared.store import changes, feed, journal
from shared.store import node as nodes
from shared.store import records as rows
from shared.store import up as uploads
from shared.store.database import sql
from shared.store.judge import PARKED
from tests.shared.making import RED
from tests.shared.nodes import open_node

SMALL = {"origins", "node", "lanes"}  # a row per log, or one
QUERIES = {
    "feed, records lane": feed.RECORDS,
    "feed, control lane": feed.CONTROL,
    "feed, what entered": feed.ENTERED,
    "feed, verdicts": feed.VERDICTS,
    "log, to send": journal.LOG,
    "hash at an event": journal.HASH_AT,
    "own events that are not judged": journal.UNJUDGED,
    "history, forwards": journal.OF_RECORD,
    "history, backwards": journal.BEFORE,
    "what may be judged again": PARKED,
    "how many may be judged again": nodes.READ_PARKED,
    "live: registers": changes.REGISTERS,
    "live: verdicts": changes.VERDICTS,
    "live: conflicts": changes.CONFLICTS,
    "live: devices": changes.DEVICES,
    "a record": rows.FIND,
    "its registers": rows.REGISTERS,
    "its base": rows.BASE,
    "a base's position": rows.BASE_POSITION,
    "heads of a device": uploads.LOGS_OF_DEVICE,
    "tasks, most urgent": "SELECT id FROM tasks ORDER BY priority, id LIMIT $1",
    "tasks by status": "SELECT id FROM tasks WHERE status = $1 AND id > $2 ORDER BY id LIMIT $3",
    "tasks of a device": (
        "SELECT id FROM tasks WHERE device = $1 AND status = $2 AND id > $3 ORDER BY id LIMIT $4"
    ),
    "open tasks": (
        "SELECT id FROM tasks WHERE status IN ('waiting', 'running', 'cancelling', 'unknown')"
    ),
    "an unfinished task of a unique key": UNFINISHED_ALIKE,
    "members of groups that are not over": GROUPED,
    "successors": "SELECT task FROM edges WHERE after = $1",
    "attempts": "SELECT * FROM attempts WHERE task = $1 ORDER BY task, epoch, n, number",
    "equipment in use": "SELECT id FROM equipment WHERE retired = 0 AND id > $1 ORDER BY id",
    "open conflicts": "SELECT id FROM conflicts WHERE status = $1 AND id > $2 ORDER BY id LIMIT $3",
}


@pytest.mark.parametrize("text", QUERIES.values(), ids=QUERIES.keys())
def test_the_plan_uses_an_index(text: str) -> None:
    node = open_node("hub", "hub")
    node.report(RED)
    text = sql(text)
    count = max((int(n) for n in re.findall(r"\?(\d+)", text)), default=0)
    # A word fits nowhere better than a number would: the planner does not look at values.
    plan = [row[3] for row in node.db.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * count)]
    for step in plan:
        scanned = re.match(r"SCAN (\w+)(.*)", step)
        by_index = scanned is not None and "INDEX" in scanned[2]
        assert scanned is None or by_index or _table(scanned[1], text) in SMALL, plan
        assert "TEMP B-TREE" not in step, plan


def _table(alias: str, text: str) -> str:
    found = re.search(rf"(?:FROM|JOIN) (\w+) {alias}\b", text)
    return found[1] if found else alias
