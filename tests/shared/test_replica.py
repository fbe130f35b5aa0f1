"""A replica: group commit behind awaits, reads beside it, subscribers after the fsync."""

import asyncio
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from shared import replica as replicas
from shared.errors import Busy, StoreClosed, StoreCorrupt, StoreFull, StoreLocked
from shared.store.transaction import Change, Reading, Transaction
from tests.shared.making import GREEN, RED
from tests.shared.nodes import reporting
from tests.shared.wire import opened, report, shown


@pytest.fixture(autouse=True, params=["on the database thread", "on the loop"])
def where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lone writes commit on one thread or the other, however quick this disk is."""
    monkeypatch.setattr(replicas, "QUICK_RUN", 0 if request.param == "on the loop" else 1 << 60)


class Trouble(Exception):
    """What a write of these tests raises."""


def trouble(_: Transaction) -> None:
    raise Trouble


async def test_a_write_returns_its_result_and_is_read_back(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        event = await replica.write(reporting(RED, "leak"))
        assert event.header.seq == 2
        assert (await shown(replica)).reason == "leak"
        assert replica.node.logs[event.header.origin].head == 2


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    """Promise 1."""
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, RED, "leak")
        node, before = replica.node, await shown(replica)
    async with opened(tmp_path, "agent", "a", seed=1) as again:
        assert again.node == node
        assert again.notice is None
        assert await shown(again) == before


async def test_writes_that_come_together_share_a_transaction_and_fail_alone(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        heard: list[list[Change]] = []
        with replica.subscribe(heard.append):
            results = await asyncio.gather(
                *(replica.write(reporting(RED, of=f"p-{n}")) for n in range(50)),
                replica.write(trouble),
                replica.write(reporting(GREEN, of="last")),
                return_exceptions=True,
            )
        assert [isinstance(r, Trouble) for r in results].count(True) == 1
        assert isinstance(results[50], Trouble)
        assert replica.node.logs[replica.node.writes["demo"]].head == 2 * 51
        assert len(heard) == 1, "one transaction"
        assert len(heard[0]) == 51


async def test_subscribers_hear_in_order_and_of_what_lasts_only(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        positions: list[int] = []
        durable: list[int] = []

        def hear(changes: list[Change]) -> None:
            positions.extend(c.position for c in changes)
            durable.append(replica.node.position)

        with replica.subscribe(hear):
            for number in range(5):
                await report(replica, RED, f"{number}")
            with pytest.raises(Trouble):
                await replica.write(trouble)
        await report(replica, GREEN)
        assert len(positions) == 5
        assert positions == sorted(positions)
        assert all(at <= known for at, known in zip(positions, durable, strict=True))


async def test_one_bad_listener_never_stops_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Promise 6."""

    def bad(_: list[Change]) -> None:
        raise Trouble

    async with opened(tmp_path, "agent", "a") as replica:
        heard: list[list[Change]] = []
        with replica.subscribe(bad), replica.subscribe(heard.append):
            await report(replica)
            await report(replica)
        assert len(heard) == 2
    assert "a listener failed" in caplog.text


async def test_a_cancelled_caller_does_not_stop_its_write(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        async with asyncio.TaskGroup() as tasks:
            leaving = tasks.create_task(replica.write(reporting(RED, "leak")))
            staying = tasks.create_task(replica.write(reporting(RED, of="other")))
            await asyncio.sleep(0)  # both start, and are with the database thread
            leaving.cancel()
        assert (await staying).header.seq == 4
        assert (await shown(replica)).reason == "leak"


async def test_a_reader_sees_one_state_throughout(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, RED)
        loop = asyncio.get_running_loop()

        def ask(reading: Reading) -> tuple[int, int]:
            count = "SELECT count(*) FROM journal"
            ((before,),) = reading.query(count)
            asyncio.run_coroutine_threadsafe(report(replica, GREEN), loop).result(20)
            ((after,),) = reading.query(count)
            return before, after

        assert await replica.read(ask) == (2, 2)
        assert (await shown(replica)).state is GREEN


async def test_a_reader_that_fails_leaves_the_reader_usable(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica)
        with pytest.raises(ZeroDivisionError):
            await replica.read(lambda _: 1 // 0)
        assert (await shown(replica)).state is RED


async def test_too_many_waiting_writes_are_told_to_come_back(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        async with asyncio.TaskGroup() as tasks:
            many = [
                tasks.create_task(replica.write(lambda _: None))
                for _ in range(replicas.WAITING_MAX)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Busy):
                await replica.write(lambda _: None)
        assert all(task.done() for task in many)
        await report(replica)


async def test_closing_waits_for_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        async with asyncio.TaskGroup() as tasks:
            accepted = [
                tasks.create_task(replica.write(reporting(RED, of=f"p-{n}"))) for n in range(20)
            ]
            await asyncio.sleep(0)
            await replica.close()
            with pytest.raises(StoreClosed):
                await report(replica)
        assert all(task.result() for task in accepted)
    async with opened(tmp_path, "agent", "a") as again:
        assert again.node.logs[again.node.writes["demo"]].head == 40


async def test_a_full_disk_is_told_to_every_writer_and_ends(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, GREEN, "before")
        db = replica._store._db
        await replica.run_on_writer(
            lambda _: db.execute(
                f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}"
            ).fetchone()
        )
        results = await asyncio.gather(
            *(replica.write(reporting(RED, "x" * 1900, of=f"p-{n}")) for n in range(100)),
            return_exceptions=True,
        )
        assert all(isinstance(r, StoreFull) for r in results)
        assert (await shown(replica)).reason == "before"
        await replica.run_on_writer(
            lambda _: db.execute("PRAGMA max_page_count = 1073741823").fetchone()
        )
        await report(replica, RED, "after")
        assert replica.node.logs[replica.node.writes["demo"]].head == 3


async def test_a_folder_is_one_replicas(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a"):
        with pytest.raises(StoreLocked):
            async with opened(tmp_path, "agent", "a"):
                pytest.fail("opened twice")
    async with opened(tmp_path, "agent", "a") as again:
        assert again.notice is None


async def test_garbage_in_the_folder_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "skerry.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(StoreCorrupt, match="set it aside"):
        async with opened(tmp_path, "agent", "a"):
            pytest.fail("opened")


# ------------------------------------------------------------------ the journal leads


def on_disk(folder: Path) -> tuple[int, list[str | None]]:
    """Return how many events and which states another process would find."""
    with closing(sqlite3.connect(folder / "skerry.db")) as db:
        ((events,),) = db.execute("SELECT count(*) FROM journal").fetchall()
        return events, [state for (state,) in db.execute("SELECT state FROM equipment")]


async def test_what_was_acknowledged_is_read_though_the_tables_lacked_it(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, GREEN)
        await report(replica, RED, "leak")
        assert on_disk(tmp_path) == (3, []), "nobody has asked yet"
        assert (await shown(replica)).reason == "leak"
        assert on_disk(tmp_path) == (3, ["red"])


async def test_a_write_after_a_read_writes_the_tables_with_it(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await shown(replica)
        await report(replica, GREEN)
        assert on_disk(tmp_path) == (2, ["green"])
        await report(replica, RED)
        assert on_disk(tmp_path) == (3, ["green"])


async def test_the_journal_is_read_without_the_tables(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, GREEN)
        found = await replica.read_journal(lambda r: r.query("SELECT count(*) FROM journal"))
        assert found == [(2,)]
        assert on_disk(tmp_path) == (2, [])


async def test_the_tables_follow_soon_and_when_it_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "FOLLOW_S", 0.01)
    async with opened(tmp_path, "agent", "a") as replica:
        await report(replica, GREEN)
        await asyncio.sleep(0.05)  # by then the loop has handed the other timer's work over
        await replica.run_on_writer(lambda _: None)
        assert on_disk(tmp_path)[1] == ["green"]
        monkeypatch.setattr(replicas, "FOLLOW_S", 3600)
        await report(replica, RED)
        assert on_disk(tmp_path)[1] == ["green"]
    assert on_disk(tmp_path)[1] == ["red"]


@contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """Let no file grow beyond the size that the write-ahead log has now."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (folder / "skerry.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_what_was_acknowledged_is_read_though_the_disk_is_full(tmp_path: Path) -> None:
    async with opened(tmp_path, "agent", "a") as replica:
        await asyncio.gather(*(replica.write(reporting(RED, of=f"p-{n}")) for n in range(100)))
        with full_disk(tmp_path):
            assert (await shown(replica, "p-99")).state is RED
            with pytest.raises(StoreFull):
                await report(replica, GREEN)
            assert on_disk(tmp_path) == (200, [])
            await replica.close()  # all the same
    assert on_disk(tmp_path)[0] == 200
    async with opened(tmp_path, "agent", "a", seed=1) as again:
        assert again.notice is None
        assert (await shown(again, "p-99")).state is RED
        assert len(on_disk(tmp_path)[1]) == 100
