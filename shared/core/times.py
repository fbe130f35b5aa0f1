"""What comes up at a time of its own: the earliest first, and nothing that was taken back."""

import heapq

Timed = tuple[int, str]  # ms by the clock of whoever asks, id


class Times:
    """Tasks by a time, each at most once. What was dropped is skipped when it comes up."""

    def __init__(self) -> None:
        self._heap: list[Timed] = []
        self._at: dict[str, int] = {}

    def put(self, task_id: str, at_ms: int) -> None:
        """Note the time of a task, in place of an earlier one."""
        if self._at.get(task_id) != at_ms:
            self._at[task_id] = at_ms
            heapq.heappush(self._heap, (at_ms, task_id))

    def drop(self, task_id: str) -> None:
        """Forget a task."""
        self._at.pop(task_id, None)

    def first(self) -> int | None:
        """Return the earliest time."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now_ms: int, most: int) -> list[str]:
        """Take out the tasks whose time has come, the earliest first, at most so many."""
        found: list[str] = []
        while len(found) < most:
            at_ms = self.first()
            if at_ms is None or at_ms > now_ms:
                break
            _, task_id = heapq.heappop(self._heap)
            del self._at[task_id]
            found.append(task_id)
        return found
