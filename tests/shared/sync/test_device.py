"""The device's side: each input in each phase, windows, and where a session goes on."""

import msgspec
import pytest

from shared.core.event import Pair
from shared.sync.device import (
    Adopt,
    Adopted,
    Advanced,
    Close,
    DownTaken,
    Effect,
    Input,
    LogRead,
    NoteStored,
    Opened,
    Phase,
    ReadLog,
    Received,
    Send,
    State,
    StatusChanged,
    TakeDown,
    TakeNewIncarnation,
    receive,
    start,
)
from shared.sync.frame import (
    PROTOCOL,
    WINDOW,
    Bye,
    Down,
    Follow,
    Forked,
    Frame,
    Head,
    Hello,
    Status,
    Stored,
    Taken,
    Up,
    Welcome,
)
from shared.sync.pieces import Stretch
from tests.shared.nodes import STATUS

HELLO = Hello(PROTOCOL, "a", "2", "demo", {"a.1": Head(3, b"old"), "a.2": Head(9, b"new")}, STATUS)
WELCOME = Welcome(PROTOCOL, "hub", "e1", {"a.1": Head(3, b"old"), "a.2": Head(4, b"4")}, {}, ())
PAIR = Pair(b"h", b"b")
UP = Up("a.2", 1, b"", [PAIR])
DOWN = Down(1, 0, 5, 5, {}, [], [])


def stretch(first: int, last: int, origin: str = "a.2", previous: bytes = b"4") -> Stretch:
    return Stretch(origin, first, previous, [PAIR] * (last - first + 1))


def play(state: State, *inputs: Input) -> tuple[State, tuple[Effect, ...]]:
    """Give inputs in turn; return the state and the effects of the last."""
    effects: tuple[Effect, ...] = ()
    for given in inputs:
        state, effects = receive(state, given)
    return state, effects


def opened(hello: Hello = HELLO, welcome: Welcome = WELCOME) -> State:
    """Return a session that is open, with nothing read yet."""
    state, _ = play(start(hello), Opened(), Received(welcome), Adopted({}))
    assert state.phase is Phase.OPEN
    return state


PHASES = {
    "greeting": start(HELLO),
    "adopting": play(start(HELLO), Opened(), Received(WELCOME))[0],
    "open": opened(),
    "closed": play(start(HELLO), Received(Bye(1000, "x")))[0],
}
FRAMES: dict[str, Frame] = {
    "hello": HELLO,
    "welcome": WELCOME,
    "follow": Follow({}),
    "up": UP,
    "stored": Stored("a.2", Head(4, b"4")),
    "forked": Forked("a.1", 2),
    "down": DOWN,
    "taken": Taken(1, 1),
    "status": Status(STATUS),
    "bye": Bye(1000, "x"),
}
BELONGS = {
    "greeting": {"welcome", "bye"},
    "adopting": {"bye"},
    "open": {"stored", "forked", "down", "bye"},
    "closed": set(FRAMES),
}


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("phase", PHASES)
def test_every_frame_in_every_phase(phase: str, frame: str) -> None:
    state, effects = receive(PHASES[phase], Received(FRAMES[frame]))
    if phase == "closed":
        assert effects == ()
    elif frame == "bye":
        assert effects == (Close(1000, "x"),)
        assert state.phase is Phase.CLOSED
    elif frame in BELONGS[phase]:
        assert not [e for e in effects if isinstance(e, Close)]
    else:
        (closing,) = effects
        assert isinstance(closing, Close)
        assert closing.code == 4400
        assert phase in closing.reason
        assert state.phase is Phase.CLOSED


def test_a_session_opens_with_hello_and_adopts_before_it_follows() -> None:
    state, effects = play(start(HELLO), Opened())
    assert effects == (Send(HELLO),)
    state, effects = receive(state, Received(WELCOME))
    assert effects == (NoteStored("a.1", 3), NoteStored("a.2", 4), Adopt("e1"))
    state, effects = receive(state, Adopted({0: 7, 1: 8}))
    assert effects == (Send(Follow({0: 7, 1: 8})), ReadLog("a.2", 4))


@pytest.mark.parametrize("protocol", [0, PROTOCOL + 1])
def test_no_common_protocol_says_who_is_to_be_upgraded(protocol: int) -> None:
    _, effects = play(start(HELLO), Received(msgspec.structs.replace(WELCOME, protocol=protocol)))
    (closing,) = effects
    assert isinstance(closing, Close)
    assert closing.code == 4426


def test_a_log_goes_on_from_the_hubs_head_one_stretch_at_a_time() -> None:
    state = opened()
    state, effects = receive(state, LogRead(stretch(5, 6)))
    assert effects == (Send(Up("a.2", 5, b"4", [PAIR] * 2)), ReadLog("a.2", 6))
    state, effects = receive(state, LogRead(stretch(7, 9, previous=b"6")))
    assert effects == (Send(Up("a.2", 7, b"6", [PAIR] * 3)),)
    state, effects = receive(state, Received(Stored("a.2", Head(6, b""))))
    assert effects == (NoteStored("a.2", 6),)
    assert state.backlog == 3
    state, effects = receive(state, Received(Stored("a.2", Head(9, b""))))
    assert state.backlog == 0


def test_the_window_is_never_exceeded() -> None:
    hello = msgspec.structs.replace(HELLO, heads={"a.2": Head(100, b"x")})
    welcome = msgspec.structs.replace(WELCOME, heads={})
    state, sent, stored = opened(hello, welcome), 0, 0
    while stored < 100:
        state, effects = receive(state, LogRead(stretch(sent + 1, sent + 1)))
        sent += 1
        while not [e for e in effects if isinstance(e, ReadLog)] and stored < sent:
            assert sent - stored <= WINDOW
            stored += 1
            state, effects = receive(state, Received(Stored("a.2", Head(stored, b""))))
        if sent == 100:
            break
    assert sent == 100


def test_only_one_stretch_is_read_at_a_time() -> None:
    state = opened()
    for heads in ({"a.2": 20}, {"a.2": 30}):
        state, effects = receive(state, Advanced(heads))
        assert effects == ()
    _, effects = receive(state, LogRead(stretch(5, 9)))
    assert effects[-1] == ReadLog("a.2", 9)


def test_a_log_that_grows_is_sent_on() -> None:
    state, _ = play(opened(), LogRead(stretch(5, 9)), Received(Stored("a.2", Head(9, b""))))
    state, effects = receive(state, Advanced({"a.2": 10}))
    assert effects == (ReadLog("a.2", 9),)
    assert state.backlog == 1
    _, effects = receive(state, LogRead(Stretch("a.2", 10, b"", [])))
    assert effects == (), "an empty read is no batch"


def test_former_logs_go_first() -> None:
    welcome = msgspec.structs.replace(WELCOME, heads={"a.2": Head(4, b"4")})
    _, effects = play(start(HELLO), Opened(), Received(welcome), Adopted({}))
    assert effects[-1] == ReadLog("a.1", 0)


def test_a_chunk_is_taken_then_acknowledged() -> None:
    state, effects = receive(opened(), Received(DOWN))
    assert effects == (TakeDown(DOWN),)
    _, effects = receive(state, DownTaken(1, 5))
    assert effects == (Send(Taken(1, 5)),)


def test_a_status_is_told_in_an_open_session_only() -> None:
    assert receive(opened(), StatusChanged(STATUS))[1] == (Send(Status(STATUS)),)
    assert receive(PHASES["greeting"], StatusChanged(STATUS))[1] == ()


def test_the_hub_cannot_have_stored_what_was_not_sent() -> None:
    for stored in (Stored("a.2", Head(8, b"")), Stored("z.1", Head(1, b""))):
        _, effects = receive(opened(), Received(stored))
        assert isinstance(effects[0], Close)
        assert effects[0].code == 4400


# ------------------------------------------------------------------ rollback, clone, fork


def going_on_anew(effects: tuple[Effect, ...]) -> bool:
    return isinstance(effects[0], TakeNewIncarnation) and effects[1] == Close(
        4409, effects[0].reason
    )


def test_a_hub_that_is_longer_means_that_this_journal_was_rolled_back() -> None:
    welcome = msgspec.structs.replace(WELCOME, heads={"a.2": Head(10, b"x")})
    state, effects = receive(start(HELLO), Received(welcome))
    assert going_on_anew(effects)
    assert state.phase is Phase.CLOSED


def test_a_hub_that_is_longer_in_a_former_log_changes_nothing() -> None:
    welcome = msgspec.structs.replace(WELCOME, heads={"a.1": Head(9, b"x"), "a.2": Head(9, b"n")})
    _, effects = play(start(HELLO), Opened(), Received(welcome), Adopted({}))
    assert effects == (Send(Follow({})),)


def test_another_content_at_our_head_is_a_fork_though_the_numbers_agree() -> None:
    """✗ compare heads by number: ``A:2'`` is taken as already stored: lost."""
    welcome = msgspec.structs.replace(WELCOME, common={"a.2": b"other"})
    assert going_on_anew(receive(start(HELLO), Received(welcome))[1])
    same = msgspec.structs.replace(WELCOME, common={"a.1": b"old", "a.2": b"new"})
    assert not going_on_anew(receive(start(HELLO), Received(same))[1])


def test_a_fork_of_the_current_log_found_by_the_hub_means_a_new_name() -> None:
    assert going_on_anew(receive(opened(), Received(Forked("a.2", 5)))[1])


def test_a_fork_of_a_former_log_leaves_the_session_open() -> None:
    state, effects = receive(opened(), Received(Forked("a.1", 2)))
    assert state.phase is Phase.OPEN
    assert not [e for e in effects if isinstance(e, Close | TakeNewIncarnation)]


def test_a_former_log_that_differs_does_not_mean_a_new_name_again_and_again() -> None:
    """Nobody is bricked: the new name was taken when the fork was found."""
    welcome = msgspec.structs.replace(WELCOME, common={"a.1": b"other"})
    state, effects = receive(start(HELLO), Received(welcome))
    assert state.phase is Phase.ADOPTING
    assert effects[-1] == Adopt("e1")


def test_a_read_that_was_under_way_when_its_log_turned_out_forked_is_no_trouble() -> None:
    welcome = msgspec.structs.replace(WELCOME, heads={"a.1": Head(1, b"1"), "a.2": Head(9, b"n")})
    state, effects = play(start(HELLO), Opened(), Received(welcome), Adopted({}))
    assert effects[-1] == ReadLog("a.1", 1)
    state, effects = receive(state, LogRead(stretch(2, 2, "a.1", b"1")))
    assert effects[-1] == ReadLog("a.1", 2)
    state, _ = receive(state, Received(Forked("a.1", 2)))
    state, _ = receive(state, LogRead(stretch(3, 3, "a.1", b"2")))
    assert state.phase is Phase.OPEN
