"""The hub's side: each input in each phase, windows, the live tail."""

import msgspec
import pytest

from shared.core.event import Pair
from shared.sync.device import Close, Received, Send
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
    RegisterState,
    Status,
    Stored,
    Taken,
    Up,
    Welcome,
)
from shared.sync.host import (
    EITHER_SIDE,
    IDLE_SKIP,
    Changed,
    Effect,
    FeedRead,
    Greet,
    Greeted,
    Input,
    NoteStatus,
    Phase,
    ReadFeed,
    State,
    TakeUp,
    Turned,
    UpTaken,
    receive,
)
from shared.sync.pieces import Chunk
from tests.shared.nodes import STATUS

HELLO = Hello(PROTOCOL, "a", "1", "demo", {}, STATUS)
WELCOME = Welcome(PROTOCOL, "hub", "e1", {}, {}, ())
UP = Up("a.1", 1, b"", [Pair(b"h", b"b")])
STORED = Stored("a.1", Head(1, b""))
NEWS = RegisterState("equipment", "x", "demo", "name", b"s")


def play(state: State, *inputs: Input) -> tuple[State, tuple[Effect, ...]]:
    """Give inputs in turn; return the state and the effects of the last."""
    effects: tuple[Effect, ...] = ()
    for given in inputs:
        state, effects = receive(state, given)
    return state, effects


def chunk(upto: int, position: int | None = None, *registers: RegisterState) -> Chunk:
    return Chunk(upto, upto if position is None else position, {}, list(registers), [])


WELCOMED = play(State(), Received(HELLO), Greeted(WELCOME))[0]
OPEN = play(WELCOMED, Received(Follow({})))[0]
LIVE = play(OPEN, FeedRead(0, chunk(5)), FeedRead(1, chunk(5)), Received(Taken(0, 5)),
            Received(Taken(1, 5)))[0]  # fmt: skip

PHASES = {
    "silent": State(),
    "greeting": play(State(), Received(HELLO))[0],
    "welcomed": WELCOMED,
    "open": OPEN,
    "closed": play(State(), Received(Bye(1000, "x")))[0],
}
FRAMES: dict[str, Frame] = {
    "hello": HELLO,
    "welcome": WELCOME,
    "follow": Follow({}),
    "up": UP,
    "stored": STORED,
    "forked": Forked("a.1", 2),
    "down": Down(1, 0, 1, 1, {}, [], []),
    "taken": Taken(1, 1),
    "status": Status(STATUS),
    "bye": Bye(1000, "x"),
}
BELONGS = {
    "silent": {"hello"},
    "greeting": set[str](),
    "welcomed": {"follow"},
    "open": {"up", "taken", "status"},
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
    elif frame in BELONGS[phase]:
        assert not [e for e in effects if isinstance(e, Close)]
    else:
        (closing,) = effects
        assert isinstance(closing, Close)
        assert closing.code == 4400
        assert phase in closing.reason
        assert state.phase is Phase.CLOSED


def test_a_device_is_greeted_then_followed_from_where_it_stands() -> None:
    state, effects = receive(State(), Received(HELLO))
    assert effects == (Greet(HELLO),)
    assert (state.device, state.site) == ("a", "demo")
    state, effects = receive(state, Greeted(WELCOME))
    assert effects == (Send(WELCOME),)
    state, effects = receive(state, Received(Follow({1: 40})))
    assert effects == (ReadFeed(0, 0), ReadFeed(1, 40)), "the control lane first"


def test_a_device_that_is_turned_away_hears_why() -> None:
    state, effects = play(State(), Received(HELLO), Turned(4403, "not yours"))
    assert effects == (Close(4403, "not yours"),)
    assert state.phase is Phase.CLOSED


def test_protocol_0_is_not_spoken() -> None:
    _, effects = receive(State(), Received(msgspec.structs.replace(HELLO, protocol=0)))
    assert isinstance(effects[0], Close)
    assert effects[0].code == 4426


def test_a_device_may_not_send_beyond_the_window() -> None:
    state = OPEN
    for _ in range(EITHER_SIDE):
        state, effects = receive(state, Received(UP))
        assert effects == (TakeUp(UP),)
    _, effects = receive(state, Received(UP))
    assert isinstance(effects[0], Close)
    state, effects = receive(state, UpTaken(STORED))
    assert effects == (Send(STORED),)
    assert receive(state, Received(UP))[1] == (TakeUp(UP),)


def test_chunks_run_ahead_as_far_as_the_window_allows() -> None:
    """A long backlog, resumed at 40: since and upto join without a gap."""
    state, effects = play(WELCOMED, Received(Follow({0: 0, 1: 40})), FeedRead(0, chunk(0, 0)))
    position, sent, cursor = 1000, 0, 40
    taken = 0
    while taken < 20:
        reads = [e for e in effects if isinstance(e, ReadFeed)]
        if not reads and sent == 0:
            reads = [ReadFeed(1, 40)]  # asked together with the control lane's
        if reads:
            assert reads == [ReadFeed(1, cursor)]
            state, effects = receive(state, FeedRead(1, chunk(cursor + 10, position, NEWS)))
            (down,) = [e.frame for e in effects if isinstance(e, Send)]
            assert isinstance(down, Down)
            assert (down.since, down.upto, down.position) == (cursor, cursor + 10, position)
            sent, cursor = sent + 1, cursor + 10
            assert sent - taken <= WINDOW
        else:
            taken += 1
            state, effects = receive(state, Received(Taken(1, 40 + 10 * taken)))
    assert sent >= 20


def test_the_end_of_the_backlog_waits_for_news() -> None:
    _, effects = receive(LIVE, Received(Taken(1, 5)))
    assert effects == ()
    _, effects = receive(LIVE, Changed(frozenset({1})))
    assert effects == (ReadFeed(1, 5),)
    _, effects = receive(LIVE, Changed(frozenset({0, 1})))
    assert effects == (ReadFeed(0, 5), ReadFeed(1, 5))
    assert receive(LIVE, Changed(frozenset({9})))[1] == ()


def test_news_that_come_while_it_is_read_are_read_again() -> None:
    state, _ = receive(LIVE, Changed(frozenset({1})))
    state, effects = receive(state, Changed(frozenset({1})))
    assert effects == (), "one read at a time"
    state, effects = receive(state, FeedRead(1, chunk(9, 9, NEWS)))
    assert [type(e) for e in effects] == [Send, ReadFeed]
    assert effects[1] == ReadFeed(1, 9)


def test_what_does_not_concern_a_device_is_not_sent_but_skipped() -> None:
    state, _ = receive(LIVE, Changed(frozenset({1})))
    state, effects = receive(state, FeedRead(1, chunk(50)))
    assert effects == ()
    state, effects = receive(state, Changed(frozenset({1})))
    assert effects == (ReadFeed(1, 50),), "not read again"
    _, effects = receive(state, FeedRead(1, chunk(60, 60, NEWS)))
    (sending,) = effects
    assert isinstance(sending, Send)
    assert isinstance(sending.frame, Down)
    assert (sending.frame.since, sending.frame.upto) == (5, 60), "joins what was sent last"


def test_a_device_that_nothing_concerns_is_told_from_time_to_time() -> None:
    """Else it would look through all of it again at its next session."""
    state, _ = receive(LIVE, Changed(frozenset({1})))
    _, effects = receive(state, FeedRead(1, chunk(5 + IDLE_SKIP)))
    assert isinstance(effects[0], Send)


def test_a_judged_frontier_is_news() -> None:
    state, _ = receive(LIVE, Changed(frozenset({0})))
    _, effects = receive(state, FeedRead(0, Chunk(6, 6, {"a.1": 3}, [], [])))
    assert isinstance(effects[0], Send)


def test_news_before_the_session_is_open_are_in_the_first_read() -> None:
    assert receive(WELCOMED, Changed(frozenset({0, 1})))[1] == ()


def test_a_status_is_noted() -> None:
    assert receive(OPEN, Received(Status(STATUS)))[1] == (NoteStatus(STATUS),)
