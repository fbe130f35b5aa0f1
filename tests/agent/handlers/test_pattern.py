"""Which command lines a table of the allow-list allows."""

import pytest

from agent.handlers.pattern import Allowed, allows, is_pattern, wild_part

RSYNC = Allowed("/usr/bin/rsync", ("--archive", "/srv/out/*"))


@pytest.mark.parametrize(
    ("args", "argument", "allowed"),
    [
        ("/srv/out/*", "/srv/out/a", True),
        ("/srv/out/*", "/srv/out/a b\n", True),
        ("/srv/out/*", "/srv/out/", False),
        ("/srv/out/*", "/srv/out/a/b", False),
        ("/srv/out/**", "/srv/out/a/b", True),
        ("/srv/out/**", "/srv/out/../../etc/shadow", False),
        ("/srv/out/*", "/srv/out/..", False),
        ("/srv/out/.*", "/srv/out/..", False),
        ("/srv/out/*", "/srv/outer", False),
        ("/srv/out/*", "x/srv/out/a", False),
        ("/srv/*/out", "/srv/a/out", True),
        ("/srv/*/out", "/srv//out", False),
        ("/srv/*t", "/srv/t", False),
        ("*.zip", "a.zip", True),
        ("*.zip", "/etc/a.zip", False),
        ("*", "--delete", False),
        ("**", "-rf", False),
        ("--level=*", "--level=9", True),
        ("--level=*", "--level=..", False),
        ("-*", "-x", True),
        ("../a", "../a", True),
        ("-x", "-x", True),
        ("", "", True),
        ("*", "", False),
        ("*", "*", True),
        ("a?", "ab", False),
        ("[ab]", "a", False),
        ("ab", "AB", False),
    ],
)
def test_an_argument_is_allowed_if_it_fits_its_pattern(
    args: str, argument: str, allowed: bool
) -> None:
    assert allows(Allowed("p", (args,)), ["p", argument]) is allowed


@pytest.mark.parametrize(
    ("argv", "allowed"),
    [
        (["/usr/bin/rsync", "--archive", "/srv/out/a"], True),
        (["rsync", "--archive", "/srv/out/a"], False),
        (["/usr/bin/rsync", "/srv/out/a", "--archive"], False),
        (["/usr/bin/rsync", "--archive"], False),
        (["/usr/bin/rsync", "--archive", "/srv/out/a", "--delete"], False),
        (["/usr/bin/rsync"], False),
    ],
)
def test_a_command_line_is_allowed_as_a_whole(argv: list[str], allowed: bool) -> None:
    assert allows(RSYNC, argv) is allowed


@pytest.mark.parametrize(
    ("pattern", "good"),
    [("", True), ("a*", True), ("a**b", True), ("*a*", False), ("***", False), ("** *", False)],
)
def test_a_pattern_has_one_wildcard(pattern: str, good: bool) -> None:
    assert is_pattern(pattern) is good


@pytest.mark.parametrize(
    ("pattern", "text", "wild"),
    [("ok *", "ok 7 mm", "7 mm"), ("ok", "ok", ""), ("ok", "no", None), ("aba*aba", "ababa", None)],
)
def test_what_a_wildcard_stands_for(pattern: str, text: str, wild: str | None) -> None:
    assert wild_part(pattern, text) == wild
