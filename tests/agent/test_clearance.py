"""What the answers of third parties mean for a task."""

import msgspec
import pytest

from agent.clearance import FRESH_MS, Answer, Barred, Clear, Held, conclude
from agent.room import Room, must_check
from shared.core.kinds.task_spec import Check, Unreachable
from tests.agent.desk import task

NOW = 5_000_000  # boot clock
DAY_MS = 86_400_000
STOCK, DOOR = Check("stock"), Check("door")


def answer(check: str, ok: bool | None, again_s: float = 10) -> Answer:
    return Answer(check, ok, "so it is", again_s)


def test_all_must_say_yes_and_a_yes_grows_old() -> None:
    gate = conclude((STOCK, DOOR), (answer("stock", True), answer("door", True)), NOW)
    assert gate == Clear(NOW + FRESH_MS)


def test_a_yes_grows_old_though_the_wall_clock_is_set_back() -> None:
    one = task("a", checks=(STOCK,))
    room = Room(1, cleared={one.id: Clear(NOW + FRESH_MS)}, ahead_ms=DAY_MS)
    assert not must_check(room, one, NOW + DAY_MS)
    set_back = msgspec.structs.replace(room, ahead_ms=0)
    assert must_check(set_back, one, NOW + FRESH_MS)


def test_one_no_is_a_snooze_that_says_why() -> None:
    gate = conclude((STOCK, DOOR), (answer("stock", False, 60), answer("door", True)), NOW)
    assert isinstance(gate, Held)
    assert gate.until_ms == NOW + 60_000
    (reason,) = gate.reasons
    assert (reason.reason, reason.ref) == ("check", "stock")
    assert reason.message == "stock says no: so it is"


def test_of_several_the_soonest_counts_and_all_are_named() -> None:
    gate = conclude((STOCK, DOOR), (answer("stock", False, 60), answer("door", False, 2)), NOW)
    assert isinstance(gate, Held)
    assert gate.until_ms == NOW + 2_000
    assert [reason.ref for reason in gate.reasons] == ["stock", "door"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [(Unreachable.WAIT, Held), (Unreachable.PROCEED, Clear), (Unreachable.FAIL, Barred)],
)
def test_nobody_answering_is_the_tasks_own_policy(policy: Unreachable, expected: type) -> None:
    check = Check("stock", {}, policy)
    assert isinstance(conclude((check,), (answer("stock", None),), NOW), expected)


@pytest.mark.parametrize("policy", Unreachable)
def test_a_no_is_a_no_whatever_the_policy(policy: Unreachable) -> None:
    check = Check("stock", {}, policy)
    assert isinstance(conclude((check,), (answer("stock", False),), NOW), Held)
