"""Questions: how each is read, and what of each is refused."""

import datetime
from random import Random
from zoneinfo import ZoneInfo

import msgspec
import pytest

from shared.core.booking.question import (
    CHARS_MAX,
    Appointments,
    FirstFree,
    FreeTimes,
    IsFree,
    Known,
    Question,
    read,
)
from tests.shared.core.booking.making import BERLIN, MINUTE_MS, at

NOW = at("2026-11-26T09:00")  # a Thursday
KNOWN = (
    Known("who", "Doctor Who", BERLIN),
    Known("strange", "Doctor Strange", BERLIN),
    Known("stephen-2", "Stephen Strange", BERLIN),
    Known("room-2", "Room 2", BERLIN),
    Known("press", "", BERLIN),
    Known("wong", "Wong", ZoneInfo("Asia/Kathmandu")),
)


def question(text: str) -> Question:
    reading = read(text, KNOWN, NOW)
    assert reading.question is not None, reading.text
    return reading.question


def problem(text: str) -> str:
    reading = read(text, KNOWN, NOW)
    assert reading.question is None, reading.question
    return reading.text


def window(text: str) -> tuple[str, str]:
    """Return the days and times that a phrase means, for the appointments of a doctor."""
    asked = question(f"all of who's appointments {text}")
    assert isinstance(asked, Appointments)
    shown = (
        datetime.datetime.fromtimestamp(ms / 1000, BERLIN).strftime("%Y-%m-%d %H:%M")
        for ms in (asked.start_ms, asked.end_ms)
    )
    start, end = shown
    return start, end


# ------------------------------------------------------------------ the four questions


def test_the_first_slot_of_a_length() -> None:
    reading = read("first 45 minutes with Who next Tuesday afternoon", KNOWN, NOW)
    assert reading.question == FirstFree(
        ("who",), True, 45 * MINUTE_MS, at("2026-12-01T12:00"), at("2026-12-01T18:00")
    )
    assert reading.text == (
        "first 45 minutes with who after Tue 2026-12-01 12:00, before Tue 2026-12-01 18:00"
    )


def test_the_first_slot_of_all() -> None:
    reading = read("First free appointment of half an hour with Who!", KNOWN, NOW)
    assert reading.question == FirstFree(("who",), True, 30 * MINUTE_MS, NOW, None)
    assert reading.text == "first 30 minutes with who after Thu 2026-11-26 09:00"


def test_the_first_slot_of_today_begins_now() -> None:
    asked = question("first 10 minutes with who today")
    assert isinstance(asked, FirstFree)
    assert (asked.after_ms, asked.before_ms) == (NOW, at("2026-11-27T00:00"))


def test_all_appointments_of_a_day() -> None:
    reading = read(
        "all of Stephen Strange\N{RIGHT SINGLE QUOTATION MARK}s appointments tomorrow", KNOWN, NOW
    )
    assert reading.question == Appointments(
        ("stephen-2",), at("2026-11-27T00:00"), at("2026-11-28T00:00")
    )
    assert reading.text == (
        "appointments of stephen-2 from Fri 2026-11-27 00:00 to Sat 2026-11-28 00:00"
    )


def test_whether_something_is_free() -> None:
    reading = read("is room-2 free on 3 December at 14:00 for an hour?", KNOWN, NOW)
    assert reading.question == IsFree(
        ("room-2",), True, at("2026-12-03T14:00"), at("2026-12-03T15:00")
    )
    assert reading.text == "is room-2 free from Thu 2026-12-03 14:00 to Thu 2026-12-03 15:00"
    again = question("is Room 2 available on december 3rd from 14:00 until 3 pm")
    assert again == reading.question


def test_when_something_is_free() -> None:
    reading = read("when are who or room-2 free tomorrow morning for 1.5 hours", KNOWN, NOW)
    assert reading.question == FreeTimes(
        ("room-2", "who"),
        False,
        at("2026-11-27T06:00"),
        at("2026-11-27T12:00"),
        90 * MINUTE_MS,
    )
    assert reading.text == (
        "when is room-2 or who free from Fri 2026-11-27 06:00 to Fri 2026-11-27 12:00 "
        "for 90 minutes or longer"
    )
    assert isinstance(question("is who free tomorrow"), FreeTimes)


def test_questions_are_json() -> None:
    for text in ("first hour with who", "is who free tomorrow", "who's bookings today"):
        asked = question(text)
        json = msgspec.json.encode(asked)
        assert msgspec.json.decode(json, type=Question) == asked


# ------------------------------------------------------------------ resources


def test_resources_are_meant_together_or_one_of_them() -> None:
    both = question("first 20 minutes with who and press in room-2")
    assert isinstance(both, FirstFree)
    assert (both.resources, both.together) == (("press", "room-2", "who"), True)
    any_of = question("first 20 minutes with who or press")
    assert isinstance(any_of, FirstFree)
    assert (any_of.resources, any_of.together) == (("press", "who"), False)
    assert "all of them together, or any?" in problem("first 9 min with who or press and room-2")


def test_a_name_that_several_have_is_refused() -> None:
    assert problem("is doctor strange and stephen free today").startswith("not understood: stephen")
    two = (Known("a", "Anna Bell", BERLIN), Known("b", "Bella Bell", BERLIN))
    assert read("first hour with bell", two, NOW).text == "bell may be a or b; write that"


def test_an_id_goes_before_a_name() -> None:
    found = question("first hour with strange")
    assert isinstance(found, FirstFree)
    assert found.resources == ("strange",)


def test_nobody_and_unknown_ones_are_told() -> None:
    assert problem("first hour tomorrow").startswith("of whom, or what?")
    assert problem("first hour with who and loki").startswith("not understood: loki")
    assert problem("first hour with room-22").startswith("of whom")


def test_resources_of_different_zones_have_no_common_tomorrow() -> None:
    assert "different time zones" in problem("is who and wong free tomorrow")


def test_times_are_meant_in_the_zone_of_the_resource() -> None:
    asked = question("is wong free tomorrow at 14:00 for an hour")
    assert isinstance(asked, IsFree)
    assert asked.start_ms == at("2026-11-27T14:00+05:45")


# ------------------------------------------------------------------ lengths


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("45 minutes", 45),
        ("45-minute", 45),
        ("90 min", 90),
        ("an hour", 60),
        ("hour", 60),
        ("one hour and a half", 90),
        ("half an hour", 30),
        ("a quarter of an hour", 15),
        ("2 hours", 120),
        ("1 hour", 60),
        ("1.5 hour", 90),
        ("1 hour 45 minutes", 105),
        ("1.25 hours", 75),
        ("1h30m", 90),
        ("2 hours and 5 minutes", 125),
    ],
)
def test_lengths(text: str, minutes: int) -> None:
    asked = question(f"first {text} with who")
    assert isinstance(asked, FirstFree)
    assert asked.length_ms == minutes * MINUTE_MS


@pytest.mark.parametrize("text", ["0 minutes", "0.0 hours", "745 hours"])
def test_lengths_that_are_none(text: str) -> None:
    assert "more than nothing and at most 31 days" in problem(f"first {text} with who")


# ------------------------------------------------------------------ days


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("today", "2026-11-26", "2026-11-27"),
        ("tomorrow", "2026-11-27", "2026-11-28"),
        ("the day after tomorrow", "2026-11-28", "2026-11-29"),
        ("yesterday", "2026-11-25", "2026-11-26"),
        ("in 1 day", "2026-11-27", "2026-11-28"),
        ("in 3 days", "2026-11-29", "2026-11-30"),
        ("in 2 weeks", "2026-12-10", "2026-12-11"),
        ("this week", "2026-11-23", "2026-11-30"),
        ("next week", "2026-11-30", "2026-12-07"),
        ("on friday", "2026-11-27", "2026-11-28"),
        ("on wed", "2026-12-02", "2026-12-03"),
        ("next thursday", "2026-12-03", "2026-12-04"),
        ("this Monday", "2026-11-30", "2026-12-01"),
        ("2026-12-03", "2026-12-03", "2026-12-04"),
        ("on 3 December", "2026-12-03", "2026-12-04"),
        ("on the 3rd of dec 2027", "2027-12-03", "2027-12-04"),
        ("on december 3rd", "2026-12-03", "2026-12-04"),
        ("on 3.12.", "2026-12-03", "2026-12-04"),
        ("on 3.1.", "2027-01-03", "2027-01-04"),
        ("on 25 november", "2027-11-25", "2027-11-26"),
        ("on 25.11.2026", "2026-11-25", "2026-11-26"),
        ("on 26 november", "2026-11-26", "2026-11-27"),
        ("on Tuesday 1 December", "2026-12-01", "2026-12-02"),
        ("on thursday 26 november", "2026-11-26", "2026-11-27"),
    ],
)
def test_days(text: str, first: str, last: str) -> None:
    assert window(text) == (f"{first} 00:00", f"{last} 00:00")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("on 3/12", "may begin with the day or the month"),
        ("on thursday", "today is thursday; write today, or next thursday"),
        ("on Monday 1 December", "2026-12-01 is a Tuesday, no monday"),
        ("in 3 hours", "in 3 hours: write the day and the time"),
        ("on 31 february", "is no day"),
        ("on 32 december", "is no day"),
        ("2026-13-03", "is no day"),
        ("on 29 february", "add the year"),
        ("on 3 december 9999", "not in this age"),
        ("tomorrow and friday", "not understood: friday"),
        ("whenever", "not understood: whenever"),
    ],
)
def test_days_that_have_two_meanings_or_none(text: str, fault: str) -> None:
    assert fault in problem(f"all of who's appointments {text}")


def test_a_listing_needs_a_day_and_no_more() -> None:
    assert "of which day or week?" in problem("all of who's appointments")
    assert "leave the rest out" in problem("who's appointments today for 30 minutes")
    assert "leave the rest out" in problem("who's appointments today at 10:00")


# ------------------------------------------------------------------ times of day


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("in the morning", "06:00", "12:00"),
        ("afternoon", "12:00", "18:00"),
        ("evening", "18:00", "22:00"),
        ("between 10:00 and 12:30", "10:00", "12:30"),
        ("after 2 pm", "14:00", "24:00"),
        ("before noon", "00:00", "12:00"),
        ("afternoon after 13:00 before 14", "13:00", "14:00"),
        ("until 12 am", None, None),
    ],
)
def test_parts_and_bounds_of_a_day(text: str, start: str | None, end: str | None) -> None:
    if start is None:
        assert "leave nothing of the day" in problem(f"all of who's appointments tomorrow {text}")
        return
    day = "2026-11-27 " if end != "24:00" else "2026-11-28 "
    until = f"{day}{'00:00' if end == '24:00' else end}"
    assert window(f"tomorrow {text}") == (f"2026-11-27 {start}", until)


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("14:00", "14:00"),
        ("14", "14:00"),
        ("2pm", "14:00"),
        ("2:30 pm", "14:30"),
        ("12 am", "00:00"),
    ],
)
def test_times(text: str, clock: str) -> None:
    asked = question(f"is who free tomorrow at {text} for 10 minutes")
    assert isinstance(asked, IsFree)
    assert asked.start_ms == at(f"2026-11-27T{clock}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("at 3", "3 may be morning or afternoon; write 03:00, or 3 pm"),
        ("at 13 pm", "13 pm is no time; write 13:00"),
        ("at 0 am", "is no time"),
        ("at 25:00", "25:00 is no time"),
        ("at 10:75", "10:75 is no time"),
    ],
)
def test_times_that_have_two_meanings_or_none(text: str, fault: str) -> None:
    assert fault in problem(f"is who free tomorrow {text} for 10 minutes")


def test_a_time_needs_one_day() -> None:
    assert "which day?" in problem("is who free at 14:00 for an hour")
    assert "which day?" in problem("first hour with who in the morning")
    assert "which day?" in problem("is who free")
    assert "of which day of the week?" in problem("is who free next week after 14:00")
    assert "of which day of the week?" in problem("is who free next week in the morning")


def test_a_time_that_does_not_exist_or_exists_twice_is_told() -> None:
    gap = "is who free on 28 march 2027 at 2:30 am for 10 minutes"
    assert "does not exist" in problem(gap)
    twice = "is who free on 31 october 2027 at 02:30{} for 10 minutes"
    assert "exists twice" in problem(twice.format(""))
    for offset in ("+01:00", "+02:00"):
        asked = question(twice.format(f" {offset}"))
        assert isinstance(asked, IsFree)
        assert asked.start_ms == at(f"2027-10-31T02:30{offset}")
    assert "is at +01:00" in problem("is who free tomorrow at 10:00 -05:00 for an hour")


def test_whether_it_is_free_needs_a_length_told_once() -> None:
    assert "for how long?" in problem("is who free tomorrow at 14:00")
    assert "for how long?" in problem("is who free tomorrow from 14:00 to 15:00 for an hour")
    assert "the end is not after" in problem("is who free tomorrow from 15:00 to 14:00")


def test_the_first_slot_needs_a_length_and_no_time() -> None:
    assert "how long?" in problem("first slot with who tomorrow")
    assert "names one time" in problem("first hour with who tomorrow at 14:00")


# ------------------------------------------------------------------ nothing is guessed


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("first 45 minutes with who tomorrow unless it rains", "unless, it, rains"),
        ("is who not free tomorrow", "not"),
        ("first hour with who in the afternoonish tomorrow", "afternoonish"),
        ("second hour with who", "second"),
    ],
)
def test_what_is_not_understood_is_said(text: str, left: str) -> None:
    assert problem(text) == f"not understood: {left}; leave that out"


def test_a_question_that_is_none_is_told_how_to_begin() -> None:
    assert problem("who").startswith("begin with first, is or when is")


def test_a_long_text_is_no_question() -> None:
    assert "longer than" in problem("first hour with who " + "please " * CHARS_MAX)


def test_nothing_that_a_person_can_type_breaks_the_reading() -> None:
    random = Random(5)
    sentence = (
        "first hour 45 minutes with who strange or and free is when appointments tomorrow next "
        "tuesday week at 14:00 3 pm between after 3 december 3.12. 99.99.9999 0000-00-00 in 2 days "
        "2027-03-28 02:30 +02:00 +99:99 ² § ' 99:99 noon morning until from to 9999 1h30m"
    )
    words = sentence.split()
    for _ in range(4_000):
        text = " ".join(random.choice(words) for _ in range(random.randint(1, 12)))
        assert read(text, KNOWN, NOW).text
