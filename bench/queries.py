"""Lists and counts among ten thousand and among a million tasks."""

from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import msgspec

from bench import many_tasks, nodes
from bench.figures import Figure, Target, figure
from bench.sizes import Sizes
from hub.explain import HubExplain
from shared import system
from shared.api import pages, task_queries, task_summary
from shared.api.task_listing import Order
from shared.api.task_queries import TaskFilters
from shared.core.ids import uuid7
from shared.core.kinds.task_kind import NO_DEADLINE
from shared.core.kinds.task_spec import Priority
from shared.core.lifecycle import Status
from shared.replica import Replica
from shared.store.transaction import Reading

LIMIT = 50
UNFINISHED = 50  # tasks that wait or run, of any number: a fleet's work does not grow with its past
MEDIAN_MS = Target(5, at_most=True)
FLAT = Target(2, at_most=True)

Question = Callable[[Reading], Any]
_encode = msgspec.json.Encoder().encode


async def run(sizes: Sizes, folder: Path) -> list[Figure]:
    """Measure the questions in both sizes in turns."""
    small, large = sizes.few_tasks, sizes.many_tasks
    for count in (small, large):
        many_tasks.build(folder / str(count), count, UNFINISHED)
    samples: dict[str, dict[int, list[tuple[float, float]]]] = {}
    async with (
        nodes.open_hub(folder / str(small)) as few,
        nodes.open_hub(folder / str(large)) as many,
    ):
        for name in _questions(small):
            samples[name] = {small: [], large: []}
        for _ in range(sizes.repetitions):
            for count, replica in ((small, few), (large, many)):
                for name, question in _questions(count).items():
                    samples[name][count].append(await _ask(replica, question, sizes.questions))
    found: list[Figure] = []
    for name, by_count in samples.items():
        found += _figures(name, by_count, small, large)
    return found


def _figures(
    name: str, by_count: dict[int, list[tuple[float, float]]], small: int, large: int
) -> list[Figure]:
    found = []
    for at, suffix in ((0, ""), (1, ", p99")):
        few, many = ([sample[at] for sample in by_count[count]] for count in (small, large))
        first = f"{name}, {small:,}{suffix}"
        found.append(figure("queries", first, "ms", few, target=None if at else MEDIAN_MS))
        second = f"{name}, {large:,}{suffix}"
        found.append(figure("queries", second, "ms", many, target=None if at else MEDIAN_MS))
        if not at:
            flat = f"{name}, of {small:,}"
            found.append(figure("queries", flat, "ms", many, beside=(first, few), target=FLAT))
    return found


# ------------------------------------------------------------------ questions


def _questions(count: int) -> dict[str, Question]:
    """Return what is asked, by name, among so many tasks."""
    middle_ms = many_tasks.START_MS + many_tasks.APART_MS * count // 2
    middle = (middle_ms, uuid7(middle_ms, 0))
    newest = pages.write_cursor("newest", 0, 0, *middle)
    urgent = pages.write_cursor("urgent", Priority.NORMAL.value, NO_DEADLINE, *middle)
    device, type_ = frozenset({many_tasks.DEVICES[0]}), frozenset({many_tasks.TYPES[0]})
    done, dead = frozenset({Status.SUCCEEDED}), frozenset({Status.DEAD})
    return {
        "newest": _list(TaskFilters()),
        "newest, from the middle": _list(TaskFilters(), newest),
        "urgent": _list(TaskFilters(order=Order.URGENT)),
        "urgent, from the middle": _list(TaskFilters(order=Order.URGENT), urgent),
        "succeeded": _list(TaskFilters(status=done)),
        "of a device": _list(TaskFilters(device=device)),
        "of a device, urgent": _list(TaskFilters(device=device, order=Order.URGENT)),
        "dead ones of a type": _list(TaskFilters(type=type_, status=dead)),
        "of a rare requester": _list(TaskFilters(requester=frozenset({"rare"}))),
        "blocked, urgent": _list(
            TaskFilters(status=frozenset({Status.BLOCKED}), order=Order.URGENT)
        ),
        "summary": _summary,
    }


def _nothing(_task: object) -> None:
    return None


def _list(filters: TaskFilters, cursor: str | None = None) -> Question:
    explain = HubExplain(dict, _nothing, _nothing)

    def question(reading: Reading) -> Any:
        return task_queries.page(reading, filters, LIMIT, cursor, explain, system.now_ms())

    return question


def _summary(reading: Reading) -> Any:
    counts = task_summary.summary(reading, HubExplain(dict, _nothing, _nothing), system.now_ms())
    if not counts.exact:
        raise RuntimeError("the summary has not looked at every unfinished task")
    return counts


async def _ask(replica: Replica, question: Question, times: int) -> tuple[float, float]:
    """Return the median and the 99th percentile of asking and encoding, ms."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        _encode(await replica.read(question))
        taken.append((perf_counter() - start) * 1000)
    taken.sort()
    return median(taken), taken[-(-99 * times // 100) - 1]
