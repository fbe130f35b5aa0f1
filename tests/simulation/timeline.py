"""Virtual time: a heap of actions, run one after the other, and a trace of all that ran."""

import heapq
from collections.abc import Callable
from hashlib import sha256

START_MS = 1_700_000_000_000  # true time at virtual zero, Unix ms; any date would do
ACTIONS_MAX = 3_000_000  # a run that needs more is a livelock

Action = Callable[[], None]


class Livelock(Exception):
    """The world is busy without end."""


class Timeline:
    """Runs actions in the order of their time; equal times in the order of their scheduling.

    Attributes:
        now_ms: Virtual time since the start.
    """

    def __init__(self, narrate: Callable[[str], None] | None = None) -> None:
        self.now_ms = 0
        self._heap: list[tuple[int, int, str, str, Action]] = []
        self._scheduled = 0
        self._ran = 0
        self._hash = sha256()
        self._narrate = narrate

    def at(self, delay_ms: int, who: str, what: str, action: Action) -> None:
        """Run an action after a delay."""
        assert delay_ms >= 0, f"{who} {what}: time runs one way"
        self._scheduled += 1
        heapq.heappush(self._heap, (self.now_ms + delay_ms, self._scheduled, who, what, action))

    def run(self, until_ms: int) -> None:
        """Run everything that is due by then; time stands there afterwards.

        Raises:
            Livelock: More than ACTIONS_MAX actions since the start.
        """
        while self._heap and self._heap[0][0] <= until_ms:
            self.now_ms, _, who, what, action = heapq.heappop(self._heap)
            self._ran += 1
            if self._ran > ACTIONS_MAX:
                raise Livelock(f"{ACTIONS_MAX} actions by {self.now_ms} ms")
            self.note(who, what)
            action()
        self.now_ms = max(self.now_ms, until_ms)

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        line = f"{self.now_ms} {who} {what}"
        self._hash.update(line.encode())
        if self._narrate is not None:
            self._narrate(line)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is left to do."""
        return not self._heap

    @property
    def waiting(self) -> str:
        """Say what is due next, for a message."""
        return ", ".join(f"{at} {who} {what}" for at, _, who, what, _ in sorted(self._heap)[:3])

    @property
    def digest(self) -> str:
        """Hash of the trace: two runs with one digest did the same."""
        return self._hash.hexdigest()


class WallClock:
    """A device's own idea of the time, as wrong as its faults make it.

    Attributes:
        newest_ms: Latest time that it ever told.
    """

    def __init__(self, timeline: Timeline, offset_ms: int) -> None:
        self._timeline = timeline
        self._offset_ms = offset_ms
        self.newest_ms = 0

    def now_ms(self) -> int:
        """Return what the device believes, Unix ms."""
        now_ms = START_MS + self._timeline.now_ms + self._offset_ms
        self.newest_ms = max(self.newest_ms, now_ms)
        return now_ms

    def jump(self, ms: int) -> None:
        """Move it, also backwards."""
        self._offset_ms += ms
