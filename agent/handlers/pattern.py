"""Pure: patterns with at most one ``*``, and which command lines they allow.

One wildcard is little, and that is the point: what a pattern allows can be seen by looking at it,
and matching takes one pass whatever somebody sends (two wildcards backtrack).
"""

from collections.abc import Sequence

import msgspec

ANY = "*"
ANY_DEEP = "**"


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A program, and a pattern for each of its arguments.

    Attributes:
        program: As tasks must write it, to the letter; a path, or a name to look for.
        args: One pattern an argument, in order.
    """

    program: str
    args: tuple[str, ...]


def is_pattern(text: str) -> bool:
    """Say whether a text has at most one wildcard, ``*`` or ``**``."""
    return text.count(ANY_DEEP if ANY_DEEP in text else ANY) <= 1 and text.count(ANY) <= 2


def wild_part(pattern: str, text: str) -> str | None:
    """Return what the wildcard of a pattern stands for in ``text``; None: it does not match.

    A pattern without wildcard matches itself, and its wild part is empty.
    """
    if ANY not in pattern:
        return "" if text == pattern else None
    before, _, after = pattern.partition(ANY_DEEP if ANY_DEEP in pattern else ANY)
    if len(text) < len(before) + len(after):
        return None
    if not text.startswith(before) or not text.endswith(after):
        return None
    return text[len(before) : len(text) - len(after)]


def allows(allowed: Allowed, argv: Sequence[str]) -> bool:
    """Say whether a whole command line is allowed: the program and every argument, no more."""
    return (
        argv[0] == allowed.program
        and len(argv) == len(allowed.args) + 1
        and all(map(_allows_argument, allowed.args, argv[1:]))
    )


def _allows_argument(pattern: str, argument: str) -> bool:
    """Match one argument; a wildcard stands for one or more characters and leads nowhere else.

    ``*`` stops at a slash and ``**`` does not. Neither takes an argument with ``..`` in it, which
    would leave the folder that the pattern names, nor makes an option of what is meant as a file.
    """
    wild = wild_part(pattern, argument)
    if wild is None or ANY not in pattern:
        return wild is not None
    if not wild or ".." in argument or ("/" in wild and ANY_DEEP not in pattern):
        return False
    return not argument.startswith("-") or pattern.startswith("-")
