"""Ready tasks in buckets of the same gates: the most urgent whose gates are open, found at once.

The heads of the buckets stand in one heap. A bucket that comes up with a gate shut is laid aside
under that gate, and comes back once the gate is open. Entries that count no more are skipped when
they come up, because taking them out of the middle of a heap would cost a pass over it.
"""

import heapq
from collections.abc import Callable, KeysView

from agent.order import Order
from agent.room import Gate, Gates


class Heads:
    """Tasks by order and gates; changed by its owner only."""

    def __init__(self) -> None:
        self._orders: dict[str, tuple[Order, Gates]] = {}  # the entry that counts of each task
        self._buckets: dict[Gates, list[Order]] = {}
        self._heap: list[tuple[Order, Gates]] = []
        self._shown: dict[Gates, Order] = {}  # the entry that counts of each bucket in the heap
        self._aside: dict[Gates, Gate] = {}
        self._shut: dict[Gate, set[Gates]] = {}

    @property
    def shut(self) -> KeysView[Gate]:
        """Gates under which buckets are laid aside."""
        return self._shut.keys()

    def put(self, order: Order, gates: Gates) -> None:
        """Add a task; the last of its order is its id."""
        self._orders[order[-1]] = (order, gates)
        bucket = self._buckets.setdefault(gates, [])
        heapq.heappush(bucket, order)
        if bucket[0] is order and gates not in self._aside:
            self._shown[gates] = order
            heapq.heappush(self._heap, (order, gates))

    def drop(self, task_id: str) -> None:
        """Forget a task; without effect if it is not here."""
        self._orders.pop(task_id, None)

    def open(self, is_open: Callable[[Gate], bool]) -> None:
        """Bring back what is laid aside under gates that have opened."""
        for gate in [gate for gate in self._shut if is_open(gate)]:
            for gates in self._shut.pop(gate):
                del self._aside[gates]
                self._show(gates)

    def pop(self, is_open: Callable[[Gate], bool]) -> str | None:
        """Take out the most urgent task whose gates are open."""
        while self._heap:
            order, gates = heapq.heappop(self._heap)
            if self._shown.get(gates) is not order:
                continue
            if self._first(gates) != order:
                self._show(gates)
                continue
            gate = next((gate for gate in gates if not is_open(gate)), None)
            if gate is not None:
                del self._shown[gates]
                self._aside[gates] = gate
                self._shut.setdefault(gate, set()).add(gates)
                continue
            heapq.heappop(self._buckets[gates])
            del self._orders[order[-1]]
            self._show(gates)
            return order[-1]
        return None

    def first(self, count: int) -> list[str]:
        """Return the most urgent tasks, whether their gates are open or not."""
        # Each bucket is a heap: what follows an entry stands right below it.
        frontier = [(bucket[0], gates, 0) for gates, bucket in self._buckets.items() if bucket]
        heapq.heapify(frontier)
        found: dict[str, None] = {}  # what was put back stands there twice
        while frontier and len(found) < count:
            order, gates, place = heapq.heappop(frontier)
            bucket = self._buckets[gates]
            for below in (2 * place + 1, 2 * place + 2):
                if below < len(bucket):
                    heapq.heappush(frontier, (bucket[below], gates, below))
            if self._orders.get(order[-1]) == (order, gates):
                found[order[-1]] = None
        return list(found)

    def _show(self, gates: Gates) -> None:
        """Put the first of a bucket into the heap, in place of any other of it."""
        first = self._first(gates)
        if first is None:
            self._shown.pop(gates, None)
        else:
            self._shown[gates] = first
            heapq.heappush(self._heap, (first, gates))

    def _first(self, gates: Gates) -> Order | None:
        """Return the first order of a bucket that counts; drop an empty bucket."""
        bucket = self._buckets.get(gates)
        while bucket:
            if self._orders.get(bucket[0][-1]) == (bucket[0], gates):
                return bucket[0]
            heapq.heappop(bucket)
        self._buckets.pop(gates, None)
        return None
