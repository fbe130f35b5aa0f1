"""Group commit: writes share an fsync, and one's refusal spoils no other."""

from pathlib import Path

import pytest

from shared.core import event as events
from shared.core import register as registers
from shared.core.kinds.equipment import PERSON, Created, Report, view
from shared.core.register import fold
from shared.errors import BadFrame, Refused, StoreFull, TooLarge
from shared.store import database
from shared.store.transaction import Transaction
from tests.shared.making import GREEN, RED, YELLOW
from tests.shared.nodes import SITE, Node, close, open_node, reporting


class Trouble(Exception):
    """What a write of these tests raises."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return open_node("agent", "robot-1", folder=tmp_path / "robot")


def rows(node: Node, text: str) -> list[tuple[object, ...]]:
    return node.reading.query(text)


def refused_after_writing(tx: Transaction) -> None:
    reporting(RED, "never")(tx)
    reporting(RED, "never", of="press-9")(tx)
    raise Trouble


def refused_after_asking(tx: Transaction) -> None:
    """A question flushes what has gathered, under a savepoint."""
    reporting(RED, "never")(tx)
    assert tx.query("SELECT count(*) FROM equipment WHERE state = 'red'") == [(1,)]
    reporting(RED, "never", of="press-9")(tx)
    raise Trouble


def refused_after_telling(tx: Transaction) -> None:
    reporting(RED, "never", of="press-9")(tx)
    tx.announce("device", "x")
    tx.execute("INSERT INTO edges (after, task) VALUES ('a', 'b')")
    raise Trouble


def refused_after_a_log(tx: Transaction) -> None:
    tx.open_log("other.1", SITE)
    raise Trouble


REFUSALS = [
    refused_after_writing,
    refused_after_asking,
    refused_after_telling,
    refused_after_a_log,
]


@pytest.mark.parametrize("refused", REFUSALS)
def test_a_refused_write_spoils_no_other(node: Node, refused: object) -> None:
    assert callable(refused)
    committed = node.group(
        reporting(GREEN, "first"),
        refused,
        reporting(YELLOW, "second"),
        refused,
        lambda tx: tx.query("SELECT state, reason FROM equipment"),
    )
    first, no, second, no_again, asked = committed.outcomes
    assert (first.error, second.error) == (None, None)
    assert isinstance(no.error, Trouble)
    assert isinstance(no_again.error, Trouble)
    assert asked.value == [("yellow", "second")]
    assert node.shown().reason == "second"
    assert not node.reading.record("equipment", "press-9").is_known
    assert rows(node, "SELECT seq FROM journal ORDER BY seq") == [(1,), (2,), (3,)]
    assert rows(node, "SELECT count(*) FROM equipment") == [(1,)]
    assert rows(node, "SELECT count(*) FROM edges") == [(0,)]
    assert rows(node, "SELECT count(*) FROM origins") == [(1,)]
    assert {c.subject for c in committed.changes} == {"press-1"}


@pytest.mark.parametrize("refused", REFUSALS)
def test_the_log_goes_on_without_a_gap_after_a_refusal(node: Node, refused: object) -> None:
    assert callable(refused)
    node.group(refused)
    node.group(reporting(GREEN), refused)
    event = node.report(RED)
    assert event.header.seq == 3
    assert node.store.node.logs[node.origin].head == 3
    again = open_node(
        "agent",
        "robot-1",
        folder=Path(node.db.execute("SELECT file FROM pragma_database_list").fetchone()[0]).parent,
    )
    assert again.store.node == node.store.node
    close(again)


def test_a_later_write_of_the_group_sees_the_earlier(node: Node) -> None:
    outcomes = node.group(
        reporting(GREEN), reporting(RED), lambda tx: view(tx.record("equipment", "press-1")).state
    ).outcomes
    assert outcomes[2].value is RED
    assert outcomes[1].value.header.seen == {node.origin: 2}


def test_nothing_is_seen_of_a_group_before_it_lasts(node: Node, tmp_path: Path) -> None:
    other = database.connect(str(tmp_path / "robot" / database.FILE), read_only=True)

    def look(tx: Transaction) -> object:
        reporting(RED)(tx)
        tx.query("SELECT 1")
        return other.execute("SELECT count(*) FROM journal").fetchone()

    assert node.write(look) == (0,)
    assert other.execute("SELECT count(*) FROM journal").fetchone() == (2,)
    other.close()


def test_changes_are_told_once_each_in_order_of_position(node: Node) -> None:
    changes = node.group(
        reporting(GREEN, of="b"), reporting(RED, of="a"), reporting(RED, of="b")
    ).changes
    assert [c.subject for c in changes] == ["a", "b"]
    assert [c.position for c in changes] == sorted(c.position for c in changes)
    assert changes[-1].position <= node.store.node.position


def test_a_record_stays_in_its_site(tmp_path: Path) -> None:
    node = open_node("hub", "hub", sites=("north", "south"))
    node.write(
        lambda tx: tx.append(
            site="north",
            kind="equipment.created",
            subject="x",
            register="created",
            body=Created(),
            actor="ann",
        )
    )
    for site in ("south", "elsewhere"):
        with pytest.raises(Refused):
            node.write(
                lambda tx, site=site: tx.append(  # type: ignore[misc]
                    site=site,
                    kind="equipment.state",
                    subject="x",
                    register=PERSON,
                    body=Report(RED),
                    actor="ann",
                )
            )


def test_a_change_too_large_is_refused_and_nothing_of_it_stays(node: Node) -> None:
    with pytest.raises(TooLarge):
        node.write(reporting(RED, "x" * 600_000))
    assert not node.reading.record("equipment", "press-1").is_known


def test_what_a_client_claims_to_have_seen_is_clipped(node: Node) -> None:
    """✗ trusted: ``seen {B:9}`` swallows B's next nine writes."""
    first = node.report(GREEN)
    event = node.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.state",
            subject="press-1",
            register=PERSON,
            body=Report(RED),
            actor="bob",
            seen={node.origin: 99, "other.1": 9},
        )
    )
    assert event.header.seen == {node.origin: first.header.seq}


def test_a_stale_client_conflicts_and_shows_the_worse(node: Node) -> None:
    old = node.report(RED)
    node.report(GREEN)
    node.write(
        lambda tx: tx.append(
            site=SITE,
            kind="equipment.state",
            subject="press-1",
            register=PERSON,
            body=Report(YELLOW),
            actor="bob",
            seen={node.origin: old.header.seq},
        )
    )
    assert node.shown().state is YELLOW
    assert [status for _, status in node.conflicts()] == ["open"]


def test_stored_registers_are_the_fold_of_the_journal(node: Node) -> None:
    for state in (RED, GREEN, YELLOW, RED):
        node.report(state)
    folded = registers.EMPTY
    for header, body in node.reading.query(
        "SELECT header, body FROM journal WHERE seq > 1 ORDER BY seq"
    ):
        folded = fold(folded, events.read(header, body))
    assert node.reading.record("equipment", "press-1").register(PERSON) == folded
    ((shown,),) = node.reading.query("SELECT shown FROM registers WHERE name = $1", PERSON)
    assert registers.unpack(shown) == folded


def test_a_full_disk_refuses_and_the_store_goes_on_afterwards(node: Node) -> None:
    """Promise 1: SQLite's own SQLITE_FULL, at whatever page it strikes."""
    node.report(GREEN, "before")
    before = node.store.node
    ((pages,),) = node.reading.query("PRAGMA page_count")
    node.db.execute(f"PRAGMA max_page_count = {pages + 1}")
    failed = 0
    for number in range(40):
        try:
            node.group(*(reporting(RED, "x" * 1500, of=f"p-{number}-{n}") for n in range(5)))
        except StoreFull:
            failed += 1
    assert failed
    held = node.store.node.logs[node.origin].head
    assert rows(node, "SELECT max(seq) FROM journal WHERE hash IS NOT NULL") == [(held,)]
    assert node.store.node.position >= before.position
    assert node.shown().reason == "before"
    node.db.execute("PRAGMA max_page_count = 1073741823")
    assert node.report(RED, "after").header.seq == held + 1
    assert node.shown().reason == "after"


def test_a_full_disk_in_the_middle_of_a_group_undoes_all_of_it(node: Node) -> None:
    node.report(GREEN)
    before = node.store.node
    ((pages,),) = node.reading.query("PRAGMA page_count")
    node.db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFull):
        node.group(*(reporting(RED, "x" * 1900, of=f"p-{n}") for n in range(100)))
    assert node.store.node == before
    assert rows(node, "SELECT max(seq) FROM journal") == [(2,)]


def test_a_disk_that_is_full_within_a_savepoint_is_told_as_such(node: Node) -> None:
    """SQLite then has undone the whole transaction by itself, savepoint and all."""
    node.report(GREEN)
    before = node.store.node
    ((pages,),) = node.reading.query("PRAGMA page_count")
    node.db.execute(f"PRAGMA max_page_count = {pages}")

    def write_and_ask(tx: Transaction) -> None:
        for number in range(100):
            reporting(RED, "x" * 1900, of=f"p-{number}")(tx)
        tx.query("SELECT 1")

    with pytest.raises(StoreFull):
        node.group(write_and_ask)
    assert node.store.node == before


def test_bad_bytes_of_a_peer_are_that_writes_own_trouble(node: Node) -> None:
    def garbage(_: Transaction) -> None:
        raise BadFrame("garbage")

    bad, good = node.group(garbage, reporting(RED)).outcomes
    assert isinstance(bad.error, BadFrame)
    assert good.error is None
