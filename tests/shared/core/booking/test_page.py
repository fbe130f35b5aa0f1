"""The page about bookings names tests; each of them is written."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[3]
PAGE = TESTS.parent / "docs" / "bookings.md"


def test_every_test_that_the_page_names_is_written() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    written = {
        name
        for file in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (\w+)", file.read_text())
    }
    assert len(named) > 50
    assert named - written == set()


def test_every_edge_names_a_test() -> None:
    rows = PAGE.read_text().partition("## Edges")[2].strip().splitlines()[2:]
    assert [row for row in rows if "`test_" not in row] == []
