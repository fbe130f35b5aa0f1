"""The hash chain of a log."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from shared.core import chain


def test_the_chain_is_the_published_formula() -> None:
    body = sha256(b"body").digest()
    assert chain.link(chain.GENESIS, b"header", b"body") == (
        sha256(bytes(32) + b"header" + body).digest()
    )


@given(st.lists(st.tuples(st.binary(), st.binary()), min_size=1, max_size=6), st.data())
def test_one_changed_event_changes_every_later_hash(
    log: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(log) - 1))
    header, body = log[place]
    other = list(log)
    other[place] = (header, body + b"!")
    assert heads(log)[:place] == heads(other)[:place]
    assert not set(heads(log)[place:]) & set(heads(other)[place:])


def test_a_body_can_be_replaced_by_its_hash_without_moving_bytes_to_the_header() -> None:
    assert chain.link(chain.GENESIS, b"ab", b"c") != chain.link(chain.GENESIS, b"a", b"bc")


def heads(log: list[tuple[bytes, bytes]]) -> list[bytes]:
    digest, found = chain.GENESIS, []
    for header, body in log:
        digest = chain.link(digest, header, body)
        found.append(digest)
    return found
