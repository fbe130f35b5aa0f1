"""Pure: which URLs the allow-list of ``http`` allows.

A pattern is a URL that may end with ``*``. Scheme, host and port must be the same; path and query
must be the same too, or begin with what stands before the ``*``. They are compared as they are
sent: a path that a server may read in another way than we do is not allowed at all.
"""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import unquote

import msgspec
from yarl import URL

HeaderName = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"\A[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")
]
HeaderValue = Annotated[
    str, msgspec.Meta(max_length=8000, pattern=r"\A[^\x00-\x08\x0a-\x1f\x7f]*\Z")
]


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Servers that tasks may ask.

    Attributes:
        url: The pattern.
        headers: Sent there, whatever the task says: a token belongs here, not into a payload that
            is journalled and shown.
    """

    url: str
    headers: dict[HeaderName, HeaderValue] = {}


def wrong_pattern(text: str) -> str | None:
    """Return what is wrong with a pattern; None: nothing."""
    if "*" in text[:-1]:
        return "one * may stand at its end, and nowhere else"
    if ".." in text:
        return "write the path without .."
    try:
        url = _parsed(text)
    except ValueError as error:
        return f"it is no URL ({error})"
    if url.scheme not in ("http", "https") or not url.host:
        return "write it as https://host/path or https://host/*"
    if text.endswith("*") and text.count("/") < 3:
        return "the path begins with /, so that * cannot lengthen the host's name"
    return reason_against(url)


def reason_against(url: URL) -> str | None:
    """Return why a URL can be compared with no pattern; None: it can."""
    if url.scheme not in ("http", "https") or not url.host:
        return "is no http or https URL"
    if url.user is not None or url.password is not None:
        return "has a name or password in it"
    # Twice: what we compare must be what a server sees that decodes once more than it should.
    path = unquote(unquote(url.raw_path))
    if "\\" in path or ".." in path.split("/") or "%2f" in url.raw_path.lower():
        return "has a path that could lead elsewhere"
    return None


def find_target(allow: Sequence[Target], url: URL) -> Target | None:
    """Return the first entry that allows a URL (of which ``reason_against`` says nothing)."""
    return next((one for one in allow if _matches(one.url, url)), None)


def _matches(text: str, url: URL) -> bool:
    pattern = _parsed(text)
    if (pattern.scheme, pattern.host, pattern.port) != (url.scheme, url.host, url.port):
        return False
    if text.endswith("*"):
        return url.raw_path_qs.startswith(pattern.raw_path_qs)
    return url.raw_path_qs == pattern.raw_path_qs


def _parsed(text: str) -> URL:
    return URL(text.removesuffix("*"))
