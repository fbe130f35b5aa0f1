"""Tasks of one group run one at a time, strictly in order of submission: who stands before whom.

Members are the tasks of a group that this device holds and that have not ended: those that run, and
those whose outcome nobody knows, stand in the way as much as those that wait. One that waits for a
retry keeps its place.
"""

from bisect import bisect_left, insort

from shared.core.kinds.task import Task

Place = tuple[int, str]  # created_ms, id
Key = tuple[str, str]  # site, group


class Groups:
    """Members of every group in order; changed by its owner only, read by any thread."""

    def __init__(self) -> None:
        self._members: dict[Key, list[Place]] = {}
        self._places: dict[str, tuple[Key, Place]] = {}

    def join(self, task_id: str, key: Key, created_ms: int) -> str | None:
        """Add a member; return the one that stood in front until now, if it no longer does."""
        if task_id in self._places:
            return None
        place = (created_ms, task_id)
        members = self._members.setdefault(key, [])
        front = members[0][1] if members else None
        insort(members, place)
        self._places[task_id] = (key, place)
        return front if members[0] == place else None

    def leave(self, task_id: str) -> str | None:
        """Drop a member; return the one that has come to the front by it, if any."""
        key, place = self._places.pop(task_id, (None, None))
        if key is None or place is None:
            return None
        members = self._members[key]
        index = bisect_left(members, place)
        del members[index]
        if not members:
            del self._members[key]
            return None
        return members[0][1] if index == 0 else None

    def ahead(self, task: Task) -> str | None:
        """Return the member right before a task in its group, None if it is the first."""
        group = task.spec.group
        members = self._members.get((task.site, group)) if group is not None else None
        if not members:
            return None
        index = bisect_left(members, (task.created_ms, task.id))
        before = members[max(0, index - 1) : index]  # a slice: another thread may be shortening it
        return before[0][1] if before else None
