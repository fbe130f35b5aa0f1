"""Query plans: no scan of a table that grows, no sorting where an index gives the order."""

import re

import pytest

from agent import orphans
from agent.news import GROUPED
from hub import returned
from shared.api import (
    grouping,
    metrics,
    task_history,
    task_listing,
    task_metrics,
    task_summary,
    tasks,
)
from shared.api.task_listing import Index, Order
from shared.api.task_submission import UNFINISHED_ALIKE
from shared.store import changes, feed, journal
from shared.store import node as nodes
from shared.store import records as rows
from shared.store import up as uploads
from shared.store.database import sql
from shared.store.judge import PARKED
from tests.shared.making import RED
from tests.shared.nodes import open_node

# A row per log, or one; or one per type, status and priority.
SMALL = {"origins", "node", "lanes", "task_counts", "attempt_counts"}
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
    "records at once, with theirs": rows.MANY,
    "a task's history": task_history.HEADERS,
    "its base": rows.BASE,
    "a base's position": rows.BASE_POSITION,
    "heads of a device": uploads.LOGS_OF_DEVICE,
    "counts of tasks": task_summary.COUNTS,
    "open tasks": task_summary.OPEN_IDS,
    "who is before a task in its group": grouping.BEFORE,
    "counts of attempts": metrics.ATTEMPTS,
    "what comes after a changed task": tasks.FOLLOWERS,
    "attempts that ended in a window": task_metrics.ENDED,
    "attempts that a device was in the middle of": orphans.OPEN_HERE,
    "what a device said of a task": orphans.SAID,
    "tasks that a device held": returned.HELD,
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
    assert_no_scan_and_no_sort(plan, text)


LISTS = [
    *((index, Order.NEWEST) for index in (*task_listing.NEWEST, task_listing.ALL_NEWEST)),
    *((index, Order.URGENT) for index in (*task_listing.URGENT, task_listing.ALL_URGENT)),
]


@pytest.mark.parametrize(("index", "order"), LISTS, ids=lambda given: getattr(given, "name", None))
def test_each_stretch_of_a_list_is_one_range_of_its_index(index: Index, order: Order) -> None:
    text = sql(task_listing.statement(index, order))
    count = max(int(n) for n in re.findall(r"\?(\d+)", text))
    db = open_node("hub", "hub").db
    (plan,) = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {text}", (1,) * count)]
    is_urgent = order is Order.URGENT
    key = "(deadline,created_at,id)>(?,?,?)" if is_urgent else "(created_at,id)<(?,?)"
    condition = " AND ".join([*(f"{column}=?" for column in index.fixed), key])
    # It covers where the index holds the status as well, which each row shows.
    assert plan.replace("COVERING ", "") == f"SEARCH tasks USING INDEX {index.name} ({condition})"


def assert_no_scan_and_no_sort(plan: list[str], text: str) -> None:
    """Nothing that grows is read whole, nothing is sorted."""
    for step in plan:
        scanned = re.match(r"SCAN (\w+)(.*)", step)
        by_index = scanned is not None and "INDEX" in scanned[2]
        assert scanned is None or by_index or _table(scanned[1], text) in SMALL, plan
        assert "TEMP B-TREE" not in step, plan


def _table(alias: str, text: str) -> str:
    found = re.search(rf"(?:FROM|JOIN) (\w+) {alias}\b", text)
    return found[1] if found else alias
