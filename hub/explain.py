"""Why a task waits, as the hub knows it: by the rules that allocate it."""

from collections.abc import Callable, Mapping

from hub import allocation
from hub.allocation import DeviceState, Need, NoDevice
from shared.core import instants
from shared.core.kinds.task import Task
from shared.core.lifecycle import SHOWN_WAITING, Status
from shared.core.waiting import StatusOf, Waiting, blocked_on_device, queued, why
from shared.sync.frame import WaitNote

SHOWN = {status.value: status for status in SHOWN_WAITING}
ANSWERS_MAX = 10_000  # different needs remembered; a fleet has some dozens


class HubExplain:
    """Explains waiting tasks, one answer for all of the same need. Any thread may call it."""

    def __init__(
        self,
        devices: Callable[[], Mapping[str, DeviceState]],
        waits: Callable[[str], Waiting | None],
        told: Callable[[Task], WaitNote | None],
    ) -> None:
        """Build an explainer.

        Args:
            devices: Devices by id; another object whenever something has changed.
            waits: What else is known of a task: its group, a lock, what is asked back.
            told: What the device that has a task told of it last, while it is connected.
        """
        self._devices = devices
        self._waits = waits
        self._told = told
        # Answers belong to the devices they were found for: one attribute, replaced as a whole.
        self._known: tuple[Mapping[str, DeviceState], dict[Need, Waiting]] = ({}, {})

    def __call__(self, task: Task, status_of: StatusOf, now_ms: int, /) -> Waiting | None:
        """Return how a waiting task shows, and why."""
        waiting = why(task, now_ms, status_of)
        if waiting is not None:
            return waiting
        devices = self._devices()
        held_up = self._waits(task.id)
        if held_up is not None and (task.allocation is None or _is_here(task, devices)):
            return held_up
        if task.allocation is not None:
            note = self._told(task)
            if note is not None:
                return Waiting(SHOWN.get(note.status, Status.QUEUED), note.reasons)
            return _seated(task.allocation.device, devices)
        asked, answers = self._known
        if devices is not asked or len(answers) >= ANSWERS_MAX:
            answers = {}
            self._known = (devices, answers)
        wanted = allocation.need(task)
        if wanted not in answers:
            answers[wanted] = _unseated(task, devices)
        return answers[wanted]


def _is_here(task: Task, devices: Mapping[str, DeviceState]) -> bool:
    state = devices.get(task.allocation.device) if task.allocation else None
    return state is not None and state.connected


def _unseated(task: Task, devices: Mapping[str, DeviceState]) -> Waiting:
    outcome = allocation.choose(task, tuple(devices.values()), {})
    if isinstance(outcome, NoDevice):
        return blocked_on_device(outcome.reason, outcome.device)
    return queued("a device that can run it is about to get it")


def _seated(device: str, devices: Mapping[str, DeviceState]) -> Waiting:
    state = devices.get(device)
    if state is None:
        return blocked_on_device(f"{device} has it and is away", device)
    if state.connected:
        return queued(f"{device} has it", device)
    since = instants.text(state.last_seen_ms)
    return blocked_on_device(f"{device} has it and is away since {since}", device)
