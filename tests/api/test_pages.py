"""Cursors: opaque, and nothing but what this list gave."""

import pytest

from shared.api import pages
from shared.errors import Invalid


def test_a_cursor_comes_back() -> None:
    assert pages.read_cursor(pages.write_cursor("press-1"), tuple[str]) == ("press-1",)
    assert pages.read_cursor(pages.write_cursor(5, "x"), tuple[int, str]) == (5, "x")


@pytest.mark.parametrize("text", ["", "!", "é", "zz", "kQ", "kaF4\n", pages.write_cursor(5)])
def test_what_is_no_cursor_of_the_list_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        pages.read_cursor(text, tuple[str])
    assert refused.value.places[0][0] == "$.cursor"
