"""Instants at the edge."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core import instants


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_420_800_007, "2026-11-23T08:00:00.007Z"),
        (instants.MS_MAX, "9999-12-31T23:59:59.999Z"),
        (-5, "1970-01-01T00:00:00.000Z"),
        (2**62, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_written_as_rfc_3339(ms: int, text: str) -> None:
    assert instants.text(ms) == text


@given(st.integers(0, instants.MS_MAX))
def test_a_written_time_reads_back(ms: int) -> None:
    assert instants.ms(datetime.datetime.fromisoformat(instants.text(ms))) == ms


def test_no_time_is_no_text() -> None:
    assert instants.text_or_none(None) is None
    assert instants.text_or_none(0) == instants.text(0)
