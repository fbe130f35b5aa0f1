"""Request bodies and query strings to Structs; what does not fit is named by its place.

msgspec reports an error as one sentence that ends in a path. Reading that sentence is the price
of validating at the speed of C; it happens here only, and the tests pin its forms.
"""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import inspect

from shared.errors import Clash, Invalid, Malformed, Refused, TooLarge

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32  # deeper than any sane payload, far from the interpreter's recursion limit
ARRIVE_S = 30  # a caller that sends a mebibyte over a phone needs seconds, not minutes

_AT = re.compile(r" - at (?:`(?:key|\.\.\.)` in )?`(?P<path>[^`]*)`$")
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<name>.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.*)`$", re.DOTALL)

_STEP = re.compile(r"\.([^.\[\]]+)|\[[^\]]*\]")  # one of a path; of a list or a dict empty
# Parts of what msgspec tells, and what to say instead.
_SHAPES = {
    "-7[0-9a-f]{3}-": "a UUIDv7 in small letters, such as 0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3a",
    "^(local:)?[a-z0-9]": "a name of small letters, digits, dots, dashes and underscores, "
    "63 characters at most, after local: if it is the device's own lock",
    "^[a-z0-9][a-z0-9._-]": "a name of small letters, digits, dots, dashes and underscores, "
    "63 characters at most, a letter or digit first",
    "^[A-Za-z0-9][A-Za-z0-9._-]": "a name of letters, digits, dots, dashes and underscores, "
    "63 characters at most, a letter or digit first",
    "^#(0|": "the place of an earlier task of the batch, such as #0, or a task's id",
    r"^[^\\x00-\\x1f\\x7f]*$": "one line, without tabs",
    r"A[^\\x00-\\x08": "one line, without control characters",
    r"A[^\\0]*": "text without NUL characters",
    "A[A-Za-z0-9!#": "a header's name, such as X-Ward",
    "A[A-Za-z_][": "a variable's name, such as WARD_NAME",
    "^[A-Z]{2}$": "a country's two capital letters, such as DE",
    "^[A-Z0-9]{1,3}$": "a subdivision's code in capital letters, such as BY",
    r"^\\d{4}-\\d{2}-\\d{2}$": "a date, such as 2026-12-01",
    "RFC3339 encoded datetime": "a date and time that there is, with its offset, "
    "such as 2026-12-01T08:00:00Z",
    "timezone component": "the offset as well, as in 2026-12-01T08:00:00Z or 08:00:00+01:00",
}
_EXPECTED = re.compile(
    r"^Expected `(?P<wanted>[^`]+)`(?:, got `(?P<got>[^`]+)`"
    r"| of length (?P<length>[<>=]+) (?P<count>\d+)| (?P<bound>[<>=]+) (?P<limit>\S+))$"
)
_KINDS = {
    "array": "a list",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "an object",
    "str": "text",
}
_BOUNDS = {"<=": "at most", ">=": "at least", "<": "less than", ">": "more than"}
_INTEGER = re.compile(r"^-?[0-9]{1,18}$")
# JSON knows integers of any length, msgpack 64 bits: hardly any body has so many digits in a row.
_MAY_OVERFLOW = re.compile(rb"[0-9]{19}")
_LISTS = (inspect.VarTupleType, inspect.ListType)

T = TypeVar("T", bound=msgspec.Struct)


async def read(request: web.Request, shape: type[T], *, required: bool = True) -> T:
    """Return the body as a Struct.

    Args:
        request: Its body is read within ARRIVE_S.
        shape: A Struct that forbids unknown fields.
        required: False: an empty body is the Struct's defaults.

    Raises:
        Malformed: Not JSON, another content type, or it did not arrive in time.
        Invalid: JSON of another shape.
        TooLarge: Over BYTES_MAX.
    """
    raw = await read_bytes(request)
    if not raw and not required:
        return shape()
    declared = request.headers.get("Content-Type")
    if declared is not None and request.content_type != "application/json":
        raise Malformed(f"the content type is {declared[:100]}; send application/json")
    if not raw:
        raise Malformed("the body is empty; send a JSON object")
    return decode(raw, shape)


async def read_bytes(request: web.Request) -> bytes:
    """Return the body as it came; asked again, the same bytes."""
    try:
        if request.content.is_eof():  # it came with its head, as nearly all do: nothing to time
            return await request.read()
        async with asyncio.timeout(ARRIVE_S):
            return await request.read()
    except TimeoutError as error:
        raise Malformed(f"the body did not arrive within {ARRIVE_S} s") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise TooLarge("the body is over 1 MiB") from error
    except (ConnectionError, web.RequestPayloadError) as error:
        # A caller that went out of reach, or whose chunks are none: its fault, no fault of ours.
        raise Malformed("the body broke off, or is not packed as it says") from error


def decode(raw: bytes, shape: type[T]) -> T:
    """Return JSON as a Struct that can also be journaled."""
    try:
        value = _fitted(raw, shape)
        if _MAY_OVERFLOW.search(raw):
            msgspec.msgpack.encode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"the body is not JSON: {error}") from error
    except OverflowError as error:
        raise Invalid("a number does not fit 64 bits", (("$", str(error)),)) from error
    except RecursionError as error:
        raise Malformed(f"the body is nested deeper than {DEPTH_MAX}") from error
    # Counting brackets first: hardly any body has that many, so hardly any is walked.
    if raw.count(b"[") + raw.count(b"{") > DEPTH_MAX and _depth(msgspec.json.decode(raw)):
        raise Malformed(f"the body is nested deeper than {DEPTH_MAX}")
    return value


def _fitted(raw: bytes, shape: type[T]) -> T:
    try:
        value: T = _decoder(shape).decode(raw)
    except msgspec.ValidationError as error:
        # It stops at the first misfit, and what comes after that may be no JSON at all.
        msgspec.json.decode(raw)
        raise invalid(error, shape) from error
    return value


def query(request: web.Request, shape: type[T]) -> T:
    """Return the query string as a Struct; lists are separated by commas.

    Raises:
        Invalid: An unknown parameter, one given twice, an empty list, or a value of the wrong kind.
    """
    lists, integers = _fields(shape, _LISTS), _fields(shape, (inspect.IntType,))
    found: dict[str, Any] = {}
    for name, text in request.query.items():
        if name in found:
            message = "given twice; separate values by commas"
            raise Invalid(f"{name[:100]} is {message}", ((f"$.{name[:100]}", message),))
        if name in lists and not text.strip(","):
            message = "names nothing; leave it out to filter by nothing"
            raise Invalid(f"{name} {message}", ((f"$.{name}", message),))
        if name in lists:
            found[name] = [part for part in text.split(",") if part]
        else:
            found[name] = int(text) if name in integers and _INTEGER.match(text) else text
    try:
        # Strict: the lax mode of msgspec takes a number for an instant and "null" for nothing.
        return msgspec.convert(found, shape)
    except msgspec.ValidationError as error:
        raise invalid(error, shape) from error


def invalid(
    error: msgspec.ValidationError, shape: type[msgspec.Struct], beneath: str = "$"
) -> Invalid:
    """Return msgspec's sentence as a place and a message that says what would do.

    Args:
        error: Of msgspec.
        shape: What the value should have been.
        beneath: Where the value stands in the body.
    """
    text = str(error)
    at = _AT.search(text)
    inner = at["path"] if at else "$"
    path = beneath + inner[1:]
    message = text[: at.start()] if at else text
    if unknown := _UNKNOWN.match(message):
        name = unknown["name"]
        return Invalid(f"unknown field {name}", ((f"{path}.{name}", "unknown field"),))
    if missing := _MISSING.match(message):
        name = missing["name"]
        return Invalid(f"{name} is missing", ((f"{path}.{name}", "required"),))
    message = _with_remedy(message, inner, shape)
    return Invalid(f"{path}: {message}", ((path, message),))


@contextmanager
def beneath(path: str, words: str) -> Iterator[None]:
    """Name the part of a body in what is wrong with it, whoever finds that.

    Args:
        path: Where it stands, ``$.task``.
        words: What it is called in the sentence.
    """
    try:
        yield
    except (Invalid, Refused, Clash, TooLarge) as error:
        places = tuple((path + place[1:], message) for place, message in error.places)
        places = places or ((path, error.detail),)
        raise type(error)(f"{words}: {error.detail}", places) from error


def _with_remedy(message: str, path: str, shape: type[msgspec.Struct]) -> str:
    for pattern, words in _SHAPES.items():
        if pattern in message:
            return f"write {words}"
    if message.startswith("Invalid enum value"):
        allowed = _allowed(shape, path)
        return f"{message}; take {', '.join(allowed)}" if allowed else message
    expected = _EXPECTED.match(message)
    return _wanted(expected) if expected else message


def _wanted(expected: re.Match[str]) -> str:
    """Return what would do in the words of people: msgspec's are those of Python."""
    kinds = expected["wanted"].split(" | ")
    wanted = " or ".join(_KINDS.get(kind, kind) for kind in kinds)
    if expected["got"]:
        return f"write {wanted}, not {_KINDS.get(expected['got'], expected['got'])}"
    if expected["bound"]:
        limit = expected["limit"].removesuffix(".0")
        return f"write {wanted}, {_BOUNDS[expected['bound']]} {limit}"
    item = "item" if "array" in kinds else "field" if "object" in kinds else "character"
    count = f"{expected['count']} {item}" + ("" if expected["count"] == "1" else "s")
    return f"write {wanted} of {_BOUNDS[expected['length']]} {count}"


def _allowed(shape: type[msgspec.Struct], path: str) -> list[str]:
    """Return the words that may stand at a place; none: it has no list of them."""
    described: inspect.Type = inspect.type_info(shape)
    for name in _STEP.findall(path):
        described = _given(described)
        if isinstance(described, inspect.UnionType):  # a word, or an object that says more
            structs = (one for one in described.types if isinstance(one, inspect.StructType))
            described = next(structs, described)
        if isinstance(described, inspect.StructType):
            fields = {field.encode_name: field.type for field in described.fields}
            if name not in fields:
                return []
            described = fields[name]
        elif isinstance(described, _LISTS):
            described = described.item_type
        elif isinstance(described, inspect.DictType):
            described = described.value_type
        else:
            return []
    described = _given(described)
    if isinstance(described, inspect.EnumType):
        return [str(one.value) for one in described.cls]
    if isinstance(described, inspect.LiteralType):
        return [str(one) for one in described.values]
    return []


@cache
def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(shape)


@cache
def _fields(shape: type[msgspec.Struct], types: tuple[type[inspect.Type], ...]) -> frozenset[str]:
    """Return the names of fields of some types."""
    described = inspect.type_info(shape)
    assert isinstance(described, inspect.StructType)
    return frozenset(f.encode_name for f in described.fields if isinstance(_given(f.type), types))


def _given(described: inspect.Type) -> inspect.Type:
    """Return what a field holds unless it is null."""
    if isinstance(described, inspect.Metadata):
        return _given(described.type)
    if not isinstance(described, inspect.UnionType):
        return described
    left = [one for one in described.types if not isinstance(one, inspect.NoneType)]
    return left[0] if len(left) == 1 else described


def _depth(value: Any) -> bool:
    """Say whether a decoded value is nested deeper than DEPTH_MAX, without recursion."""
    level = [value]
    for _ in range(DEPTH_MAX + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return False
        level = inner
    return True
