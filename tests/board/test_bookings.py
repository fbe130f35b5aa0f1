"""The board's page of bookings in a real browser, in front of a real hub and a real tablet."""

import datetime
import re
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from playwright.async_api import Locator, Page, Route, expect

from shared import system
from tests.board.browsing import PHONE, Api, Opener
from tests.board.conftest import TOKEN

DESKTOP = (1280, 800)
ZONE = ZoneInfo("Europe/Berlin")
WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY = datetime.timedelta(days=1)
HOUR_PX = 72


def day(ahead: int = 2) -> str:
    """Return a day to come, by the clock of the resources."""
    now = datetime.datetime.fromtimestamp(system.now_ms() / 1000, ZONE)
    return (now.date() + datetime.timedelta(days=ahead)).isoformat()


def utc(date: str, time: str) -> str:
    local = datetime.datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=ZONE)
    return local.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms(date: str, time: str) -> int:
    local = datetime.datetime.fromisoformat(f"{date}T{time}").replace(tzinfo=ZONE)
    return round(local.timestamp() * 1000)


def span(start: str, end: str) -> str:
    return f"{start}\N{EN DASH}{end}"


def changed_day(hours: int) -> str:
    """Return the next day that is so long by the clock of the resources."""
    date = datetime.date.fromisoformat(day())
    while True:
        ends = [datetime.datetime.combine(one, datetime.time(), ZONE) for one in (date, date + DAY)]
        if ends[1].timestamp() - ends[0].timestamp() == hours * 3600:
            return date.isoformat()
        date += DAY


async def make(api: Api, resource: str, hours: list[str], **more: Any) -> None:
    week = dict.fromkeys(WEEK, hours)
    limits = {"grid": {"minutes": 15}, "horizon_s": 2 * 366 * 86_400}
    body = {
        "id": resource,
        "hours": {"timezone": str(ZONE), "week": week},
        "limits": limits,
        **more,
    }
    await api.send("POST", "/api/resources", body)


@pytest.fixture
async def doctors(api: Api) -> None:
    for name in ("strange", "who"):
        await make(api, name, ["09:00-17:00"], name=f"Dr {name.title()}")


async def book(api: Api, resource: str, time: str, minutes: int = 60, **more: Any) -> Any:
    body = {"resource": resource, "start": f"{day()}T{time}", "minutes": minutes, **more}
    return await api.send("POST", "/api/bookings", body)


async def bookings(api: Api, resource: str = "strange") -> list[Any]:
    path = f"/api/bookings?resource={resource}&from={utc(day(), '00:00')}"
    items: list[Any] = (await api.get(path))["items"]
    return items


async def import_busy(api: Api, start: str, end: str) -> None:
    """Have Dr Strange busy by his own calendar."""
    at = [utc(day(), time).replace("-", "").replace(":", "") for time in (start, end)]
    first, last = (f"{time[:15]}Z" for time in at)
    lines = [
        *("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN", "BEGIN:VEVENT", "UID:1"),
        *(f"DTSTART:{first}", f"DTEND:{last}", "END:VEVENT", "END:VCALENDAR", ""),
    ]
    await api.upload("/api/resources/strange/calendar.ics?source=outlook", "\r\n".join(lines))


async def open_bookings(open_board: Opener, more: str = "", **options: Any) -> Page:
    page = await open_board(**{"size": DESKTOP, **options})
    await page.evaluate(f"location.hash = '#bookings{more or '&day=' + day()}'")
    await expect(page.locator("booking-page .cal-body")).to_be_visible()
    return page


def track(page: Page, resource: str) -> Locator:
    return page.locator(f'booking-column[data-resource="{resource}"] .cal-track')


async def at(page: Page, resource: str, hour: float) -> tuple[float, float]:
    box = await track(page, resource).bounding_box()
    assert box is not None
    return box["x"] + 60, box["y"] + hour * HOUR_PX + 2


def block(page: Page, title: str) -> Locator:
    return page.locator("booking-calendar .booking", has_text=title)


async def drag(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    await page.mouse.move(*start)
    await page.mouse.down()
    await page.mouse.move(*end, steps=4)
    await page.mouse.up()


async def test_a_slot_drawn_is_booked_and_dropped_elsewhere_it_is_moved(
    api: Api, doctors: None, open_board: Opener
) -> None:
    page = await open_bookings(open_board)
    await drag(page, await at(page, "strange", 10), await at(page, "strange", 10.6))
    form = page.locator("booking-form")
    await expect(form.get_by_label("Minutes", exact=True)).to_have_value("45")
    await form.get_by_label("Title").fill("Check-up")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(block(page, "Check-up")).to_contain_text(f"Confirmed {span('10:00', '10:45')}")
    (booked,) = await bookings(api)
    assert (booked["start"], booked["end"]) == (utc(day(), "10:00"), utc(day(), "10:45"))

    await drag(page, await at(page, "strange", 10.1), await at(page, "who", 12.1))
    dialog = page.locator("booking-dialog")
    await expect(dialog.get_by_label("Start")).to_have_value("12:00")
    await dialog.get_by_role("button", name="Move it").click()
    await expect(page.locator('booking-column[data-resource="who"] .booking')).to_contain_text(
        span("12:00", "12:45")
    )
    moved = await api.get(f"/api/bookings/{booked['id']}")
    assert (moved["resources"], moved["start"]) == (["who"], utc(day(), "12:00"))


async def test_a_conflict_names_what_is_in_the_way_and_an_alternative_is_one_press(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await book(api, "strange", "10:00", title="Hip")
    page = await open_bookings(open_board, size=PHONE, more=f"=strange&day={day()}")
    await block(page, "Hip").wait_for()
    await page.mouse.click(*await at(page, "strange", 9.5))
    form = page.locator("booking-form")
    await form.get_by_label("Minutes", exact=True).fill("60")
    await form.get_by_label("Title").fill("Knee")
    await form.get_by_role("button", name="Book", exact=True).click()
    answer = form.locator("booking-answer")
    await expect(answer.locator(".reasons")).to_contain_text("Dr Strange: its only place is taken")
    await expect(answer.locator(".conflicts")).to_contain_text("Hip")
    await answer.get_by_role("button", name=re.compile(span("11:00", "12:00"))).click()
    await expect(block(page, "Knee")).to_contain_text(span("11:00", "12:00"))
    assert [one["title"] for one in await bookings(api)] == ["Hip", "Knee"]
    width = await page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE[0]


async def test_the_keyboard_alone_books_cancels_and_is_told_where_it_is(
    api: Api, doctors: None, open_board: Opener
) -> None:
    page = await open_bookings(open_board)
    cursor = page.locator(".cal-cursor")
    await cursor.focus()
    for key in ("Home", "ArrowDown", "ArrowDown", "Shift+ArrowDown", "ArrowRight"):
        await page.keyboard.press(key)
    await expect(cursor).to_have_attribute(
        "aria-label", re.compile(f"Dr Who.* {span('09:30', '10:00')}, free")
    )
    outline = await cursor.evaluate("node => getComputedStyle(node).outlineStyle")
    assert outline == "solid"
    await page.keyboard.press("Enter")
    await page.keyboard.type("By hand")
    await page.keyboard.press("Enter")
    await expect(block(page, "By hand")).to_be_visible()
    (booked,) = await bookings(api, "who")
    assert (booked["start"], booked["end"]) == (utc(day(), "09:30"), utc(day(), "10:00"))

    await expect(cursor).to_be_focused()
    await expect(cursor).to_have_attribute("aria-label", re.compile("taken: By hand"))
    await block(page, "By hand").focus()
    await page.keyboard.press("Enter")
    dialog = page.locator("booking-dialog")
    await dialog.get_by_role("button", name="Cancel booking").press("Enter")
    await page.keyboard.type("ill")
    await page.keyboard.press("Enter")
    await expect(dialog.locator(".current-line").first).to_contain_text("Cancelled")
    await page.keyboard.press("Escape")
    await expect(block(page, "By hand")).to_have_count(0)


async def test_each_kind_of_booking_has_its_word_and_new_hours_show_whom_they_leave_outside(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await book(api, "strange", "10:00", title="Hip")
    await book(api, "strange", "16:00", title="Late")
    await book(api, "who", "09:00", title="Maybe", hold_s=3600)
    page = await open_bookings(open_board)
    await page.get_by_role("button", name="Hours and rules of Dr Strange").click()
    editor = page.locator("resource-form")
    for name in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"):
        await editor.get_by_label(name).fill("9:00 - 15:00")
    await editor.get_by_role("button", name="Save").click()
    await expect(editor.get_by_role("alert").last).to_contain_text("1 booking stands outside")
    await expect(editor.locator(".conflicts")).to_contain_text("Late")
    await page.keyboard.press("Escape")

    kinds = {"Hip": "confirmed", "Late": "outside", "Maybe": "held"}
    words = {"Hip": "Confirmed", "Late": "Outside rules", "Maybe": "Held"}
    for title, kind in kinds.items():
        await expect(block(page, title)).to_have_attribute("data-kind", kind)
        await expect(block(page, title)).to_contain_text(words[title])
    paths = [await block(page, title).locator("path").get_attribute("d") for title in kinds]
    assert len(set(paths)) == len(kinds)
    await expect(page.locator("status-bar .attention")).to_contain_text("1")
    await expect(page.locator("booking-needs")).to_contain_text("Late")

    await block(page, "Maybe").click()
    await page.locator("booking-dialog").get_by_role("button", name="Confirm").click()
    await expect(block(page, "Maybe")).to_have_attribute("data-kind", "confirmed")


async def test_what_is_kept_free_beside_a_booking_is_drawn_and_told(
    api: Api, open_board: Opener
) -> None:
    limits = {"grid": {"minutes": 15}, "before_s": 300, "after_s": 900}
    await make(api, "theatre", ["08:00-18:00"], name="Theatre", limits=limits)
    await book(api, "theatre", "10:00", title="Hip")
    page = await open_bookings(open_board)
    column = page.locator("booking-column")
    await expect(column.locator(".cal-head")).to_contain_text(
        "Kept free: 5 min before, 15 min after"
    )
    bands = column.locator(".cal-band")
    await expect(bands).to_have_count(2)
    boxes = [await one.bounding_box() for one in await bands.all()]
    heights = [box["height"] for box in boxes if box]
    assert heights == [pytest.approx(HOUR_PX / 12, abs=1), pytest.approx(HOUR_PX / 4, abs=1)]
    told = await column.evaluate(
        """(node, [at, end]) => [0, 30].map((minutes) =>
            node.bookedAt(at + minutes * 60000, end + minutes * 60000))""",
        [ms(day(), "11:00"), ms(day(), "11:15")],
    )
    assert told == ["kept free beside Hip", None]


async def test_what_is_kept_free_over_midnight_is_drawn_and_told_on_the_next_day(
    api: Api, open_board: Opener
) -> None:
    limits = {"grid": {"minutes": 15}, "after_s": 900}
    await make(api, "lab", ["00:00-24:00"], limits=limits)
    await book(api, "lab", "23:00", title="Night")
    after = day(3)
    page = await open_bookings(open_board, more=f"=lab&day={after}")
    column = page.locator("booking-column")
    await expect(column.locator(".cal-band")).to_have_count(1)
    await expect(column.locator(".booking")).to_have_count(0)
    box, whole = [
        await one.bounding_box() for one in (column.locator(".cal-band"), track(page, "lab"))
    ]
    assert box
    assert whole
    assert [box["y"], box["height"]] == [
        pytest.approx(whole["y"], abs=1),
        pytest.approx(HOUR_PX / 4, abs=1),
    ]
    cursor = page.locator(".cal-cursor")
    await cursor.focus()
    told = re.compile(f"{span('00:00', '00:15')}, kept free beside Night")
    await expect(cursor).to_have_attribute("aria-label", told)
    await page.keyboard.press("ArrowDown")
    await expect(cursor).to_have_attribute(
        "aria-label", re.compile(f"{span('00:15', '00:30')}, free")
    )


async def test_the_keyboard_is_told_how_many_places_are_left_and_when_there_is_none(
    api: Api, open_board: Opener
) -> None:
    limits = {"grid": {"minutes": 30}, "capacity": 2}
    await make(api, "ward", ["09:00-12:00"], name="Ward", limits=limits)
    await book(api, "ward", "09:00", 90, title="Long")
    await book(api, "ward", "09:00", 30, title="First")
    await book(api, "ward", "10:00", 30, title="Second")
    page = await open_bookings(open_board, more=f"=ward&day={day()}")
    await expect(block(page, "Second")).to_be_visible()
    cursor = page.locator(".cal-cursor")
    await cursor.focus()
    for state in ("taken: (Long|First)", "free, 1 of 2 taken", "taken: Long", "free"):
        await expect(cursor).to_have_attribute("aria-label", re.compile(f", {state}. Enter"))
        await page.keyboard.press("ArrowDown")
    told = await page.locator("booking-column").evaluate(
        "(node, [start, end]) => node.bookedAt(start, end)",
        [ms(day(), "09:30"), ms(day(), "10:30")],
    )
    assert told == "taken: Long"


async def test_busy_time_of_a_calendar_says_so_and_cannot_be_changed_here(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await import_busy(api, "10:00", "11:30")
    page = await open_bookings(open_board)
    busy = block(page, "outlook")
    await expect(busy).to_have_attribute("data-kind", "imported")
    await expect(busy).to_contain_text("Busy")
    await busy.click()
    dialog = page.locator("booking-dialog")
    await expect(dialog).to_contain_text("outlook: change it there, then import it again")
    await expect(dialog.locator(".history")).to_contain_text("Importdemo at hub")
    await expect(dialog.get_by_role("button", name="Cancel booking")).to_have_count(0)
    await expect(dialog.get_by_role("button", name="Move")).to_have_count(0)


async def test_what_is_overbooked_within_its_rules_is_not_said_to_be_outside_them(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await book(api, "strange", "10:00", title="Hip")
    await book(api, "strange", "16:00", title="Late")
    await import_busy(api, "10:30", "16:30")
    week = {name: ["09:00-15:00"] for name in WEEK}
    hours = {"timezone": str(ZONE), "week": week}
    await api.send("PATCH", "/api/resources/strange", {"hours": hours})
    page = await open_bookings(open_board)
    needs = page.locator("booking-needs li")
    marks = {"Hip": "ConfirmedOverbooked", "Late": "ConfirmedOverbookedOutside rules"}
    for title, words in marks.items():
        await expect(needs.filter(has_text=title).locator(".current-line")).to_have_text(words)


async def test_nobody_came_is_said_once_it_has_begun_and_shown_by_word_and_shape(
    api: Api, open_board: Opener
) -> None:
    limits = {"after_s": 900}
    await make(api, "lab", ["00:00-24:00"], limits=limits)
    start_ms = system.now_ms() + 2000
    start = datetime.datetime.fromtimestamp(start_ms / 1000, ZONE)
    body = {"resource": "lab", "start": start.isoformat(), "minutes": 45, "title": "Absent"}
    made = await api.send("POST", "/api/bookings", body)
    await api.send("POST", "/api/bookings", {**body, "start": f"{day()}T10:00", "title": "Later"})
    page = await open_bookings(open_board, more=f"=lab&day={start.date()}")
    await block(page, "Absent").click()
    dialog = page.locator("booking-dialog")
    # It is there by itself, also if the dialog was open before.
    await dialog.get_by_role("button", name="Nobody came").click(timeout=15_000)
    assert system.now_ms() >= start_ms
    await expect(dialog.locator(".current-line").first).to_have_text("Nobody came")
    await expect(dialog.locator(".history")).to_contain_text("Nobody cameYes")
    await page.keyboard.press("Escape")
    absent = block(page, "Absent")
    await expect(absent).to_have_attribute("data-kind", "no-show")
    await expect(absent).to_contain_text("Nobody came")
    await expect(page.locator("booking-column .cal-band")).to_have_count(0)
    assert (await api.get(f"/api/bookings/{made['id']}"))["status"] == "no-show"
    shapes = [await absent.locator("path").get_attribute("d")]
    await page.locator("booking-bar").get_by_label("Day", exact=True).fill(day())
    await block(page, "Later").click()
    await expect(dialog.get_by_role("button", name="Move")).to_be_visible()
    await expect(dialog.get_by_role("button", name="Nobody came")).to_have_count(0)
    await page.keyboard.press("Escape")
    shapes.append(await block(page, "Later").locator("path").get_attribute("d"))
    assert shapes[0] != shapes[1]


async def test_first_free_by_resources_and_by_a_question_that_is_repeated(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await book(api, "strange", "09:00", title="Hip")
    page = await open_bookings(open_board)
    find = page.locator("booking-find")
    await find.get_by_label("Dr Strange").check()
    await find.get_by_label("After").fill(f"{day()}T08:00")
    await find.get_by_role("button", name="Find").click()
    await find.get_by_role("button", name=re.compile(span("10:00", "10:45"))).click()
    form = page.locator("booking-form")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(block(page, "Booking")).to_contain_text(span("10:00", "10:45"))

    await find.get_by_label("Ask in words").fill(f"first 30 minutes with Who {day()} afternoon")
    await find.get_by_role("button", name="Ask").click()
    await expect(find.locator(".reading")).to_contain_text("Understood as: first 30 minutes")
    await expect(find.locator(".slots button").first).to_contain_text(span("12:00", "12:30"))
    await find.get_by_label("Ask in words").fill("when does the bus go")
    await find.get_by_role("button", name="Ask").click()
    await expect(find.locator(".reading")).to_contain_text("Not understood")


async def test_a_series_tells_what_became_of_each_occurrence(
    api: Api, doctors: None, open_board: Opener
) -> None:
    await book(api, "strange", "09:00", title="Hip")
    page = await open_bookings(open_board)
    await page.get_by_role("button", name="New booking").click()
    form = page.locator("booking-form")
    await form.locator("summary").click()
    await form.get_by_label("Repeat").select_option("WEEKLY")
    await form.get_by_label("How many times").fill("3")
    await form.get_by_label("If some do not fit").select_option("skip")
    await form.get_by_role("button", name="Book", exact=True).click()
    report = form.locator(".series-report")
    await expect(report).to_contain_text("2 of 3 booked")
    await expect(report.locator(".rows > li").first).to_contain_text("Not booked")
    await report.locator(".slots button").first.click()
    await expect(report.locator(".rows > li").first).to_contain_text("Booked")
    assert len(await bookings(api)) == 4


async def series(page: Page) -> Locator:
    """Open the form for a day whose date is known, for a series; at 10:00."""
    await page.get_by_role("button", name="New booking").click()
    form = page.locator("booking-form")
    await form.get_by_label("Title").fill("Physio")
    await form.get_by_label("Start").fill("10:00")
    await form.locator("summary").click()
    return form


def starts(found: list[Any]) -> list[str]:
    return [one["start_local"][:16] for one in found]


async def test_a_series_on_several_weekdays_until_a_day_leaves_out_and_moves_what_it_is_told(
    api: Api, doctors: None, open_board: Opener
) -> None:
    soon = datetime.date.fromisoformat(day(7))
    monday = soon + DAY * (-soon.weekday() % 7)
    page = await open_bookings(open_board, more=f"=strange&day={monday}")
    form = await series(page)
    await form.get_by_label("Repeat").select_option("WEEKLY")
    await form.get_by_label("Every", exact=False).fill("2")
    await expect(form.get_by_label("Mon", exact=True)).to_be_disabled()
    await expect(form.get_by_label("Mon", exact=True)).to_be_checked()
    await form.get_by_label("Wed", exact=True).check()
    await form.get_by_label("Ends").select_option("until")
    await form.get_by_label("Last day").fill((monday + DAY * 28).isoformat())
    for ahead, instead in ((14, ""), (28, f"{monday + DAY * 29}T15:00")):
        await form.get_by_role("button", name="Add a day").click()
        row = form.locator(".exceptions .day-row").last
        await row.get_by_label("Not on").fill((monday + DAY * ahead).isoformat())
        await row.get_by_label("Instead at").fill(instead)
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(form.locator(".series-report h3")).to_contain_text("4 of 4 booked")
    at_ten = [f"{monday + DAY * ahead}T10:00" for ahead in (0, 2, 16)]
    assert starts(await bookings(api)) == [*at_ten, f"{monday + DAY * 29}T15:00"]


async def test_a_monthly_series_goes_by_the_day_or_by_the_weekday_of_its_first(
    api: Api, doctors: None, open_board: Opener
) -> None:
    soon = datetime.date.fromisoformat(day(7))
    first = next(soon + DAY * n for n in range(40) if 8 <= (soon + DAY * n).day <= 14)
    page = await open_bookings(open_board, more=f"=strange&day={first}")
    form = await series(page)
    await form.get_by_label("Repeat").select_option("MONTHLY")
    ways = form.locator("[name=monthly]")  # its label holds its options too
    name = first.strftime("%A")
    await expect(ways.locator("option")).to_have_text([f"day {first.day}", f"the second {name}"])
    await ways.select_option(label=f"the second {name}")
    await form.get_by_label("How many times").fill("3")
    await form.get_by_label("Only hold it").fill("10")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(form.locator("booking-answer")).to_contain_text("A series cannot be held")
    await form.get_by_label("Only hold it").fill("")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(form.locator(".series-report h3")).to_contain_text("3 of 3 booked")
    dates = [datetime.date.fromisoformat(one[:10]) for one in starts(await bookings(api))]
    assert {one.weekday() for one in dates} == {first.weekday()}
    assert all(8 <= one.day <= 14 for one in dates)
    assert len({one.month for one in dates}) == 3


async def test_what_a_series_needs_does_not_keep_a_single_booking_from_being_sent(
    api: Api, doctors: None, open_board: Opener
) -> None:
    page = await open_bookings(open_board)
    form = await series(page)
    await form.get_by_label("Repeat").select_option("DAILY")
    await form.get_by_label("Ends").select_option("until")
    await form.locator("summary").click()
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(form.get_by_label("Last day")).to_be_focused()
    await form.get_by_label("Repeat").select_option("")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(block(page, "Physio")).to_be_visible()


async def test_an_answer_that_comes_late_does_not_undo_what_was_told_live(
    api: Api, doctors: None, open_board: Opener, agent_url: str
) -> None:
    """✗ The hub had confirmed it within milliseconds, and it stayed requested for good."""
    page = await open_bookings(open_board, size=PHONE, at=agent_url, more=f"=strange&day={day()}")

    async def answer_late(route: Route) -> None:
        answer = await route.fetch()
        assert "requested" in await answer.text()
        await expect(block(page, "First")).to_contain_text("Confirmed")
        await route.fulfill(response=answer)

    await page.route("**/api/bookings", answer_late)
    form = page.locator("booking-form")
    await page.mouse.click(*await at(page, "strange", 9.1))
    await form.get_by_label("Title").fill("First")
    async with page.expect_response("**/api/bookings"):
        await form.get_by_role("button", name="Ask for it").click()
    await expect(form).to_be_hidden()
    await expect(block(page, "First")).to_contain_text("Confirmed")


async def test_a_request_offline_is_shown_as_such_and_then_as_the_hub_decided(
    api: Api, doctors: None, open_board: Opener, agent_url: str
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(agent_url, headers=headers) as session:
        tablet = Api(session)
        page = await open_bookings(
            open_board, size=PHONE, at=agent_url, more=f"=strange&day={day()}"
        )
        await tablet.send("PUT", "/api/uplink", {"enabled": False})
        form = page.locator("booking-form")
        for hour, title in ((9, "First"), (11, "Second")):
            await page.mouse.click(*await at(page, "strange", hour + 0.1))
            await form.get_by_label("Title").fill(title)
            await form.get_by_role("button", name="Ask for it").click()
            await expect(block(page, title)).to_contain_text("Requested")
        await book(api, "strange", "09:00", title="Rival")
        await tablet.send("PUT", "/api/uplink", {"enabled": True})
        await expect(block(page, "Second")).to_contain_text("Confirmed")
        await expect(block(page, "First")).to_contain_text("Refused")
        await expect(page.locator("section-tabs .attention")).to_contain_text("1")

        await block(page, "First").click()
        dialog = page.locator("booking-dialog")
        await expect(dialog).to_contain_text("“Rival”")
        await dialog.get_by_role("button", name=re.compile(span("10:00", "10:30"))).click()
        again = page.locator('.booking[data-kind="confirmed"]', has_text="First")
        await expect(again).to_be_visible()
        await expect(page.locator("section-tabs .attention .count")).to_have_text("")


async def test_a_day_of_25_hours_has_one_hour_twice_and_the_form_asks_which(
    api: Api, open_board: Opener
) -> None:
    await make(api, "press", ["00:00-24:00"])
    long, short = changed_day(25), changed_day(23)
    page = await open_bookings(open_board, more=f"=press&day={long}")
    column = page.locator("booking-column")
    await expect(column).to_contain_text("25 h long: the clock goes back")
    labels = await page.locator(".cal-axis .cal-hour").all_inner_texts()
    assert labels[:5] == ["00:00", "01:00", "02:00", "02:00", "03:00"]
    assert len(labels) == 25

    await track(page, "press").evaluate("node => node.closest('.cal-scroll').scrollTo(0, 0)")
    await page.mouse.click(*await at(page, "press", 3.6))
    form = page.locator("booking-form")
    await expect(form.get_by_label("Start")).to_have_value("02:30")
    await expect(form.get_by_label("Second (+01:00)")).to_be_checked()
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(page.locator("booking-calendar .booking")).to_be_visible()
    listed = (await api.get("/api/bookings?resource=press"))["items"]
    assert [one["start_local"] for one in listed] == [f"{long}T02:30:00+01:00"]

    await page.locator("booking-bar").get_by_label("Day", exact=True).fill(short)
    await expect(column).to_contain_text("23 h long: the clock goes forward")
    await page.get_by_role("button", name="New booking").click()
    await form.get_by_label("Start").fill("02:30")
    await form.get_by_role("button", name="Book", exact=True).click()
    await expect(form.locator("booking-answer")).to_contain_text("does not exist")
