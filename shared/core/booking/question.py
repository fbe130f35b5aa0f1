"""Questions in a small English, read into something typed, or refused with what was not understood.

    first DURATION with RESOURCES [WHEN]         first 45 minutes with Who next Tuesday afternoon
    is RESOURCES free DAY at TIME for DURATION   is room-2 free on 3 December at 14:00 for an hour
    is RESOURCES free DAY from TIME to TIME
    when is RESOURCES free WHEN [for DURATION]   when is Strange free next week
    all of RESOURCES' appointments WHEN          all of Strange's appointments tomorrow

RESOURCES are ids or names, joined by "and" (all together) or "or" (any of them); WHEN, DAY and TIME
are told in ``question_time``. Known phrases are taken out of the text one after the other; what is
then left and means something was not understood, and nothing is guessed.

Only the hub imports this file: ``dateutil`` is no part of an agent.
"""

import datetime
import re
from collections.abc import Sequence
from typing import assert_never

import msgspec

from shared.core.booking import local_time
from shared.core.booking.local_time import MINUTE_MS
from shared.core.booking.phrases import Phrases
from shared.core.booking.question_time import When, read_when
from shared.core.booking.slot import LENGTH_MS_MAX
from shared.errors import Refused

CHARS_MAX = 300
_MARK = "\N{SECTION SIGN}"  # stands where a resource was named
_noise = re.compile(
    rf"a|all|an|and|are|for|free|in|is|me|of|on|or|please|show|slot|the|with|{_MARK}"
)

_first = re.compile(r"\b(?:first|earliest)\b(?: free\b)?(?: slot\b| appointment\b)?(?: of\b)?")
_listing = re.compile(r"\b(?:appointments|bookings)\b")
_free = re.compile(r"\b(?:free|available)\b")
_when_free = re.compile(r"\bwhen (?:is|are)\b")
_lengths = (  # the first that fits is taken
    (re.compile(r"\b(?:for )?(?:an|one) hour and a half\b"), 90),
    (re.compile(r"\b(?:for )?half an hour\b"), 30),
    (re.compile(r"\b(?:for )?a quarter of an hour\b"), 15),
    (re.compile(r"\b(?:for )?(?:(?:an|one) )?hour\b"), 60),
)
_number = r"(\d{1,4}(?:\.\d{1,2})?)"
_hours = re.compile(
    rf"\b(?:for )?{_number} ?(?:hours?|hrs?|h)"
    r"(?: ?(?:and )?(\d{1,4}) ?(?:minutes?|mins?|m))?\b"
)
_from_now = re.compile(rf"\bin (?:an?|one|half an|{_number}) ?(?:hours?|hrs?|h|minutes?|mins?|m)\b")
_minutes = re.compile(r"\b(?:for )?(\d{1,5}) ?-?(?:minutes?|mins?|m)\b")


class Known(msgspec.Struct, frozen=True):
    """A resource or group that may be asked about.

    Attributes:
        id: Its id.
        name: What people call it; its last word alone will do, if it is one.
        zone: In which days and times are meant.
    """

    id: str
    name: str
    zone: datetime.tzinfo


class FirstFree(msgspec.Struct, frozen=True, tag_field="asks", tag="first"):
    """The first slot of a length.

    Attributes:
        resources: Their ids.
        together: All of them, or any.
        length_ms: How long.
        after_ms: Not to begin earlier, Unix ms.
        before_ms: Not to end later; None: no end was named.
    """

    resources: tuple[str, ...]
    together: bool
    length_ms: int
    after_ms: int
    before_ms: int | None


class IsFree(msgspec.Struct, frozen=True, tag_field="asks", tag="is-free"):
    """Whether all of these resources, or any, are free for a time, Unix ms."""

    resources: tuple[str, ...]
    together: bool
    start_ms: int
    end_ms: int


class FreeTimes(msgspec.Struct, frozen=True, tag_field="asks", tag="free"):
    """When all of these resources, or any, are free in a window, Unix ms, for so long or longer."""

    resources: tuple[str, ...]
    together: bool
    start_ms: int
    end_ms: int
    length_ms: int | None


class Appointments(msgspec.Struct, frozen=True, tag_field="asks", tag="appointments"):
    """All bookings of these resources in a window, Unix ms."""

    resources: tuple[str, ...]
    start_ms: int
    end_ms: int


Question = FirstFree | IsFree | FreeTimes | Appointments


class Reading(msgspec.Struct, frozen=True):
    """How a question was read.

    Attributes:
        question: What it asks; None: that is not clear.
        text: The same in full, with its dates; of an unclear one, what to write instead.
    """

    question: Question | None
    text: str


class _Parts(msgspec.Struct, frozen=True):
    """What a question names."""

    resources: tuple[str, ...]
    together: bool
    length_ms: int | None
    when: When


def read(text: str, known: Sequence[Known], now_ms: int) -> Reading:
    """Read a question.

    Args:
        text: As typed.
        known: What may be asked about.
        now_ms: Wall clock, Unix ms.
    """
    try:
        if len(text) > CHARS_MAX:
            raise Refused(f"longer than {CHARS_MAX} characters; ask for one thing at a time")
        phrases = Phrases(text)
        found = _resources(phrases, known)
        question = _read(phrases, found, now_ms)
    except Refused as error:
        return Reading(None, error.detail)
    return Reading(question, _text(question, found[0].zone))


def _read(phrases: Phrases, found: tuple[Known, ...], now_ms: int) -> Question:
    is_first = phrases.take(_first) is not None
    is_listing = not is_first and phrases.take(_listing) is not None
    phrases.take(_when_free)
    is_about_free = not is_first and not is_listing and phrases.take(_free) is not None
    if ahead := phrases.take(_from_now):
        raise Refused(f"{ahead[0]}: write the day and the time instead, such as today after 16:00")
    length = _length_ms(phrases)
    when = read_when(phrases, found[0].zone, now_ms)
    together = _together(phrases)
    left = [word for word in phrases.text.split() if not _noise.fullmatch(word)]
    if left:
        raise Refused(f"not understood: {', '.join(left)}; leave that out")
    parts = _Parts(tuple(known.id for known in found), together, length, when)
    if is_first:
        return _first_free(parts, now_ms)
    if is_listing:
        return _appointments(parts)
    if is_about_free:
        return _is_free(parts)
    raise Refused("begin with first, is or when is … free, or ask for someone's appointments")


# ------------------------------------------------------------------ what is asked


def _first_free(parts: _Parts, now_ms: int) -> FirstFree:
    when = parts.when
    if parts.length_ms is None:
        raise Refused("how long? Add it, such as 45 minutes")
    if when.at_ms is not None:
        raise Refused("that names one time; write after or between, or ask whether it is free")
    after = now_ms if when.window is None else max(now_ms, when.window.start_ms)
    before = None if when.window is None else when.window.end_ms
    return FirstFree(parts.resources, parts.together, parts.length_ms, after, before)


def _is_free(parts: _Parts) -> IsFree | FreeTimes:
    when = parts.when
    if when.window is None:
        raise Refused("which day? Add one, such as tomorrow or 3 December")
    if when.at_ms is None:
        window = when.window
        return FreeTimes(
            parts.resources, parts.together, window.start_ms, window.end_ms, parts.length_ms
        )
    if (when.to_ms is None) == (parts.length_ms is None):
        raise Refused("for how long? Give a length, or from when to when, and not both")
    end = when.to_ms or when.at_ms + (parts.length_ms or 0)
    if end <= when.at_ms:
        raise Refused("the end is not after the start; check the times")
    return IsFree(parts.resources, parts.together, when.at_ms, end)


def _appointments(parts: _Parts) -> Appointments:
    when = parts.when
    if when.window is None:
        raise Refused("of which day or week? Add one, such as tomorrow or next week")
    if when.at_ms is not None or parts.length_ms is not None:
        raise Refused("appointments are listed for a day or between two times; leave the rest out")
    return Appointments(parts.resources, when.window.start_ms, when.window.end_ms)


# ------------------------------------------------------------------ what it names


def _resources(phrases: Phrases, known: Sequence[Known]) -> tuple[Known, ...]:
    """Take out the resources, leaving a mark for each, so that what joins them can be seen."""
    called: dict[str, set[Known]] = {}
    for resource in known:
        name = resource.name.lower()
        last = name.split()[-1:]
        # A number as a last word would be found in every date.
        for words in {name, *(word for word in last if word.isalpha())}:
            called.setdefault(words, set()).add(resource)
    called.update((resource.id, {resource}) for resource in known)  # an id has one meaning
    found: dict[str, Known] = {}
    for words in sorted(called, key=lambda words: (-len(words), words)):
        while words and words in phrases.text and phrases.take(_whole(words), _MARK):
            if len(called[words]) > 1:
                ids = " or ".join(sorted(resource.id for resource in called[words]))
                raise Refused(f"{words} may be {ids}; write that")
            (resource,) = called[words]
            found[resource.id] = resource
    if not found:
        raise Refused("of whom, or what? Name a resource by its id or name")
    if len({resource.zone for resource in found.values()}) > 1:
        raise Refused("these lie in different time zones; ask about one of them")
    return tuple(found[name] for name in sorted(found))


def _whole(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-]){re.escape(words)}(?:'s|')?(?![\w-])")


def _together(phrases: Phrases) -> bool:
    """Say whether all of the resources are meant, or any."""
    between = [words.split() for words in phrases.text.split(_MARK)[1:-1]]
    alternatives = sum("or" in words for words in between)
    if 0 < alternatives < len(between):
        raise Refused("all of them together, or any? Join them by and only, or by or only")
    return alternatives == 0


def _length_ms(phrases: Phrases) -> int | None:
    if hours := phrases.take(_hours):
        length = round(float(hours[1]) * 60) + int(hours[2] or 0)
    elif minutes_only := phrases.take(_minutes):
        length = int(minutes_only[1])
    else:
        taken = (minutes for pattern, minutes in _lengths if phrases.take(pattern))
        length = next(taken, 0)
        if not length:
            return None
    if not 0 < length * MINUTE_MS <= LENGTH_MS_MAX:
        raise Refused("a length is more than nothing and at most 31 days; check it")
    return length * MINUTE_MS


# ------------------------------------------------------------------ how it was read


def _text(question: Question, zone: datetime.tzinfo) -> str:
    """Say a question in full, so that whoever asked sees which Tuesday was meant."""
    match question:
        case FirstFree(_, together, length, after, before):
            until = "" if before is None else f", before {local_time.text(before, zone)}"
            whom = _joined(question.resources, together)
            begin = local_time.text(after, zone)
            return f"first {length // MINUTE_MS} minutes with {whom} after {begin}{until}"
        case IsFree(resources, together, start, end):
            return f"is {_joined(resources, together)} free {_span(start, end, zone)}"
        case FreeTimes(resources, together, start, end, length):
            least = "" if length is None else f" for {length // MINUTE_MS} minutes or longer"
            return f"when is {_joined(resources, together)} free {_span(start, end, zone)}{least}"
        case Appointments(resources, start, end):
            return f"appointments of {_joined(resources, True)} {_span(start, end, zone)}"
        case _ as never:
            assert_never(never)


def _joined(resources: tuple[str, ...], together: bool) -> str:
    return (" and " if together else " or ").join(resources)


def _span(start_ms: int, end_ms: int, zone: datetime.tzinfo) -> str:
    return f"from {local_time.text(start_ms, zone)} to {local_time.text(end_ms, zone)}"
