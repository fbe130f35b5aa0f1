"""Records and their ETags."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import record as records
from shared.core import register as registers
from shared.core import vector as vectors
from shared.core.kinds.equipment import MACHINE, PERSON
from shared.core.record import Record
from shared.errors import Invalid
from tests.shared.making import History, event, fold_all, histories


def record_of(history: History, subject: str = "press-1") -> Record:
    held = fold_all(list(history.events))
    return records.with_register(Record("equipment", subject), PERSON, held, "demo")


@given(histories())
def test_an_etag_gives_back_what_was_seen(history: History) -> None:
    record = record_of(history)
    tag = records.etag(record)
    seen = records.read_etag(tag, "equipment", "press-1")
    assert vectors.dominates(seen, records.vector(record))
    assert vectors.dominates(records.vector(record), seen)
    assert tag.isascii()
    assert '"' not in tag


@given(histories(), st.randoms())
def test_replicas_that_hold_the_same_give_the_same_etag(history: History, chance: object) -> None:
    backwards = History(history.events[::-1], history.known[::-1])
    assert records.etag(record_of(history)) == records.etag(record_of(backwards))


def test_an_etag_names_its_record() -> None:
    """✗ y's ETag ``{A:2}`` on a write of x covers an unseen x."""
    held = registers.fold(registers.EMPTY, event("a.1", 2))
    other = records.with_register(Record("equipment", "y"), PERSON, held, "demo")
    with pytest.raises(Invalid) as caught:
        records.read_etag(records.etag(other), "equipment", "x")
    assert caught.value.places[0][0] == "$.seen"


@pytest.mark.parametrize("tag", ["", "x", "%%%", "gqNhYmM", "é", "A" * 5000, "kcA", '"abc"'])
def test_what_is_no_etag_is_refused(tag: str) -> None:
    with pytest.raises(Invalid):
        records.read_etag(tag, "equipment", "x")


def test_a_client_cannot_have_seen_what_is_not_here() -> None:
    """✗ trusted: ``seen {B:9}`` swallows B's next nine writes."""
    held = registers.fold(registers.EMPTY, event("b.1", 1))
    assert records.clip({"b.1": 9, "c.1": 3}, held) == {"b.1": 1}


def test_a_stale_browser_is_a_concurrent_author() -> None:
    first, second = event("a.1", 1), event("b.1", 1, {"a.1": 1})
    held = fold_all([first, second])
    late = event("a.1", 2, dict(records.clip({"a.1": 1}, held)))
    assert registers.fold(held, late).siblings == (late, second)


def test_the_first_event_gives_a_record_its_site() -> None:
    one = records.with_register(Record("equipment", "x"), PERSON, registers.EMPTY, "north")
    assert records.with_register(one, MACHINE, registers.EMPTY, "south").site == "north"
    assert one.is_known
    assert not Record("equipment", "x").is_known


def test_the_latest_is_the_newest_stamp_then_the_dot() -> None:
    held = fold_all([event("b.1", 1, at_ms=5), event("a.1", 1, at_ms=9), event("a.1", 2, at_ms=9)])
    last = records.latest(held)
    assert last is not None
    assert last.dot.seq == 2
    assert records.latest(registers.EMPTY) is None
