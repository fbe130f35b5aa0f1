"""Who a journal is: incarnations, the guard, and journals that are not what they were."""

import shutil
from pathlib import Path

import pytest

from shared.errors import StoreError
from shared.store import database
from shared.store.guard import GuardFile, GuardState
from tests.shared.making import GREEN, RED
from tests.shared.nodes import SITE, Clock, MemoryGuard, Node, Session, close, meet, open_node


def reopened(folder: Path, *, name: str = "robot-1", machine_id: str | None = "m1") -> Node:
    return open_node("agent", name, folder=folder, machine_id=machine_id, seed=99)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a robot that wrote two events, which left."""
    node = open_node("agent", "robot-1", folder=tmp_path / "robot", machine_id="m1")
    node.report(GREEN)
    node.store.about_to_leave()
    close(node)
    return tmp_path / "robot"


def test_reopening_gives_the_same_node_and_records(folder: Path) -> None:
    first = reopened(folder)
    first.report(RED, "leak")
    first.write(lambda tx: tx.adopt("e1"))
    node, record = first.store.node, first.reading.record("equipment", "press-1")
    close(first)
    again = reopened(folder)
    assert again.store.node == node
    assert again.reading.record("equipment", "press-1") == record
    assert again.store.notice is None


def test_a_restored_database_takes_a_new_incarnation(folder: Path) -> None:
    """The guard remembers what left; the old names are in use elsewhere."""
    saved = folder.parent / "backup.db"
    node = reopened(folder)
    node.db.execute("VACUUM INTO ?", (str(saved),))
    was = node.origin
    node.report(RED)
    node.store.about_to_leave()
    close(node)
    for path in folder.glob(f"{database.FILE}*"):
        path.unlink()
    shutil.copy(saved, folder / database.FILE)
    again = reopened(folder)
    assert again.origin != was
    assert again.store.notice is not None
    assert "had left" in again.store.notice
    assert again.report(RED).header.seq == 1
    close(again)
    assert reopened(folder).store.notice is None, "once is enough"


def test_a_tail_that_never_left_may_be_lost_under_the_old_name(folder: Path) -> None:
    """Nobody else can know those numbers: no new incarnation for it."""
    saved = folder.parent / "backup.db"
    node = reopened(folder)
    was = node.origin
    node.db.execute("VACUUM INTO ?", (str(saved),))
    node.report(RED)
    close(node)
    for path in folder.glob(f"{database.FILE}*"):
        path.unlink()
    shutil.copy(saved, folder / database.FILE)
    again = reopened(folder)
    assert again.origin == was
    assert again.store.notice is None


def test_a_journal_on_another_machine_takes_a_new_incarnation(folder: Path) -> None:
    was = reopened(folder)
    close(was)
    copied = folder.parent / "copy"
    shutil.copytree(folder, copied)
    clone = reopened(copied, machine_id="m2")
    assert clone.origin != was.origin
    assert "another machine" in (clone.store.notice or "")
    original = reopened(folder)
    assert original.origin == was.origin


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff\xfe", b'{"left": 3}', b"[]"])
def test_a_missing_or_unreadable_guard_takes_a_new_incarnation(
    folder: Path, content: bytes | None
) -> None:
    guard = folder / "guard.json"
    guard.unlink()
    if content is not None:
        guard.write_bytes(content)
    again = reopened(folder)
    assert "guard.json" in (again.store.notice or "")
    assert [log.own for log in again.store.node.logs.values()] == [2, 1]
    assert GuardFile(folder).load() is not None


def test_a_device_that_was_renamed_goes_on_under_its_new_name(folder: Path) -> None:
    again = reopened(folder, name="robot-2")
    assert again.origin.startswith("robot-2.")
    assert again.store.notice == "the device was called robot-1"
    assert again.shown().state is GREEN


def test_the_old_log_still_reaches_the_hub(folder: Path) -> None:
    """Promise 1: what was written under the former incarnation is not lost."""
    (folder / "guard.json").unlink()
    again = reopened(folder)
    again.report(RED, "leak")
    hub = open_node("hub", "hub", clock=again.clock)
    meet(again, hub=hub)
    assert hub.shown() == again.shown()
    assert hub.shown().state is RED
    assert len([n for n in hub.store.node.logs if n.startswith("robot-1.")]) == 2
    assert hub.conflicts() == []


def test_a_folder_of_the_other_role_is_refused(folder: Path) -> None:
    with pytest.raises(StoreError, match="agent"):
        open_node("hub", "hub", folder=folder)


def test_a_restored_hub_has_a_new_epoch_and_a_new_origin() -> None:
    """✗ same origin: an old ``H:1`` in the field, another ``H:1`` new: one hides the other."""
    guard = MemoryGuard()
    hub = open_node("hub", "hub", guard=guard)
    hub.report(GREEN)
    hub.store.about_to_leave()
    guard_of_later = GuardState("x", None, {hub.origin: 9})
    rolled_back = MemoryGuard()
    rolled_back.state = guard_of_later
    before = hub.store.node
    again = type(hub.store)(
        hub.db,
        hub.store._identity,
        rolled_back,
        now_ms=Clock(),
        trust=hub.store._trust,
        chance=hub.store._chance,
    )
    assert again.node.epoch != before.epoch
    assert again.node.writes != before.writes


def test_the_guard_covers_what_leaves_before_it_leaves(tmp_path: Path) -> None:
    node = open_node("agent", "robot-1", folder=tmp_path)
    hub = open_node("hub", "hub", clock=node.clock)
    node.report(GREEN)
    assert node.store.must_guard
    session = Session(node, hub)
    while not any(log.head for name, log in hub.store.node.logs.items() if name == node.origin):
        session.run(1)
    saved = GuardFile(tmp_path).load()
    assert saved is not None
    assert saved.left == {node.origin: 2}
    assert not node.store.must_guard


def test_an_incarnation_per_site(tmp_path: Path) -> None:
    hub = open_node("hub", "hub", folder=tmp_path, sites=("north", SITE))
    assert sorted(hub.store.node.writes) == [SITE, "north"]
    close(hub)
    more = open_node("hub", "hub", folder=tmp_path, sites=("north", SITE, "south"), seed=1)
    assert sorted(more.store.node.writes) == [SITE, "north", "south"]
    assert more.origin == hub.origin


def test_a_guard_file_survives_being_written_half(tmp_path: Path) -> None:
    guard = GuardFile(tmp_path)
    guard.save(GuardState("1", "m", {"a.1": 7}))
    (tmp_path / "guard.tmp").write_bytes(b'{"incarn')
    assert guard.load() == GuardState("1", "m", {"a.1": 7})
    guard.save(GuardState("1", "m", {"a.1": 8}))
    assert guard.load() == GuardState("1", "m", {"a.1": 8})
