"""What people do about tasks at work, in a real browser in front of real nodes.

Robots that lose their power are processes of their own, killed with ``kill -9``.
"""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from hub import app
from hub import settings as hub_settings
from tests.board.browsing import PHONE, WAIT_MS, Api, Opener
from tests.board.conftest import TOKEN, served
from tests.board.robots import Robot
from tests.board.task_page import open_tasks, row, section

Start = Callable[[str], Awaitable[Robot]]

AWAY = "robot-9"  # never connects: what is pinned to it waits for ever
LONG_S = 60  # longer than a test
SLOW_MS = 20_000  # a process starts in between


async def submit_wait(api: Api, seconds: float, **fields: Any) -> dict[str, Any]:
    body = {"type": "wait", "payload": {"seconds": seconds}, **fields}
    return await api.send("POST", "/api/tasks", body)


async def open_task(page: Page, title: str) -> Locator:
    await page.locator("task-page").get_by_role("button", name=title, exact=True).click()
    dialog = page.locator("task-dialog")
    await expect(dialog.locator(".facts")).to_be_visible()
    return dialog


def queue(page: Page, type_: str) -> Locator:
    named = page.locator(".switch-label").get_by_text(type_, exact=True)
    return page.locator("queue-row", has=named)


# ------------------------------------------------------------------ queues


async def test_a_pause_shows_with_its_reason_on_every_page_and_at_the_task_it_holds(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    await api.submit("echo before", device=AWAY)
    mine = await open_tasks(open_board)
    colleagues = await open_tasks(open_board)
    robots = await open_tasks(open_board, at=robot_url)
    await queue(mine, "command").get_by_role("switch").click()
    await queue(mine, "command").get_by_label("Why?").fill("the ward has lunch")
    await queue(mine, "command").get_by_role("button", name="Pause").click()
    for page in (mine, colleagues, robots):
        await expect(queue(page, "command")).to_contain_text("Paused by demo")
        await expect(queue(page, "command")).to_contain_text("the ward has lunch")
        await expect(queue(page, "command").get_by_role("switch")).not_to_be_checked()

    await api.submit("echo held")
    held = row(robots, "echo held").locator(".task-why")
    await expect(held).to_have_text("Paused: the queue command is paused: the ward has lunch")
    await expect(queue(colleagues, "command")).to_contain_text("2 waiting")

    await queue(colleagues, "command").get_by_role("switch").click()
    for page in (mine, colleagues, robots):
        await expect(queue(page, "command").get_by_role("switch")).to_be_checked()
        await expect(queue(page, "command")).not_to_contain_text("Paused")
        await expect(section(page, "ended")).to_contain_text("echo held")


async def test_of_two_sites_the_queue_that_was_meant_is_paused(
    open_board: Opener, tmp_path: Path
) -> None:
    settings = hub_settings.Settings(
        data=str(tmp_path / "two-sites"),
        sites=("north", "south"),
        api=hub_settings.Api(listen="127.0.0.1:0", tokens={"demo": TOKEN}),
    )
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        served(partial(app.run, settings)) as url,
        aiohttp.ClientSession(url, headers=headers) as session,
    ):
        api = Api(session)
        for site in settings.sites:
            await api.submit("echo", device=AWAY, site=site)
        page = await open_tasks(open_board, at=url)
        south = queue(page, "command · south")
        await south.get_by_role("switch").click()
        await south.get_by_role("button", name="Pause").click()
        await expect(south).to_contain_text("Paused by demo")
        await expect(queue(page, "command · north").get_by_role("switch")).to_be_checked()
        queues = (await api.get("/api/queues"))["items"]
        assert {one["site"]: one["paused"] for one in queues} == {"north": False, "south": True}
        await page.close()  # a hub that ends waits for its listeners


# ------------------------------------------------------------------ progress, reasons, terms


async def test_a_wait_moves_its_bar_in_its_row(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    page = await open_tasks(open_board)
    await submit_wait(api, LONG_S)
    running = section(page, "running")
    await expect(running).to_contain_text(re.compile(rf"\d+ % · \d+ of {LONG_S} s"))
    bar = running.get_by_role("progressbar", name="Progress")
    first = await bar.evaluate("bar => bar.value")
    await expect(bar).not_to_have_js_property("value", first, timeout=WAIT_MS)
    assert await bar.evaluate("bar => bar.value") > first


async def test_a_run_that_succeeded_is_not_shown_as_half_done(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    await submit_wait(api, 1)
    page = await open_tasks(open_board)
    await expect(section(page, "ended")).to_contain_text("wait 1 s")
    dialog = await open_task(page, "wait 1 s")
    await expect(dialog.locator(".attempt")).to_contain_text("Succeeded")
    await expect(dialog.locator(".attempt .task-progress")).to_have_count(0)


async def test_the_last_line_of_a_command_stands_in_its_row(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    page = await open_tasks(open_board)
    await api.submit(f"sh -c 'echo copied 7 files; exec sleep {LONG_S}'")
    words = section(page, "running").locator(".task-output")
    await expect(words).to_contain_text("copied 7 files")


async def test_reasons_name_in_words_what_they_are_about(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    first = await submit_wait(api, LONG_S, group="ward-7", locks=["local:arm"])
    await api.submit("echo group", group="ward-7")
    await api.submit("echo lock", locks=["local:arm"])
    await api.submit("echo check", checks=[{"name": "stock", "ask": {"item": "syringe"}}])
    page = await open_tasks(open_board, at=robot_url)
    title = f"“wait {LONG_S} s”"
    await expect(row(page, "echo group")).to_contain_text(f"Group: {title} is before it in group")
    await expect(row(page, "echo lock")).to_contain_text(f"Lock: {title} holds local:arm")
    await row(page, "echo lock").get_by_role("link", name=title).first.click()
    dialog = page.locator("task-dialog")
    await expect(dialog.get_by_role("heading", name=f"wait {LONG_S} s")).to_be_visible()
    await dialog.get_by_role("button", name=re.compile("Cancel")).click()
    await expect(dialog).to_contain_text("Cancelled")
    await page.keyboard.press("Escape")
    # A check is asked once a task could start: by then nothing else keeps this one.
    await expect(row(page, "echo check")).to_contain_text("Check: stock cannot be asked")
    assert (await api.get(f"/api/tasks/{first['id']}"))["status"] == "cancelled"


async def test_a_task_says_what_the_choice_of_its_device_weighed(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    for name in ("robot-1", "robot-2"):
        await start_robot(name)
    payload = {"argv": ["echo", "fetch"], "zone": "ward-7", "at": {"x": 3, "y": 4}}
    await api.send("POST", "/api/tasks", {"type": "command", "payload": payload})
    page = await open_tasks(open_board)
    dialog = await open_task(page, "echo fetch")
    await expect(dialog).to_contain_text("Why robot-1")
    await expect(dialog).to_contain_text("the best of 2 that could")
    await expect(dialog.locator(".terms tr")).to_have_text(
        [
            "Unfinished tasks it had0",
            "Zoneanother",
            "Wayunknown, counted as 500 m",
            "Cost, in tasks15",
        ]
    )


async def test_a_group_is_followed_by_its_link_and_by_its_filter(
    api: Api, open_board: Opener
) -> None:
    for group in ("ward-7", "ward-8"):
        await api.submit(f"echo {group} one", device=AWAY, group=group)
    page = await open_tasks(open_board)
    titles = section(page, "waiting").locator(".task-title")
    await expect(titles).to_have_count(2)
    dialog = await open_task(page, "echo ward-7 one")
    await dialog.get_by_role("link", name="ward-7", exact=True).click()
    await expect(dialog.locator("dialog")).to_be_hidden()
    await expect(titles).to_have_text(["echo ward-7 one"])
    assert page.url.endswith("#tasks&group=ward-7")
    for group in ("ward-8", "ward-7"):
        await api.submit(f"echo {group} two", device=AWAY, group=group)
    await expect(titles).to_have_text(["echo ward-7 one", "echo ward-7 two"])
    await page.locator("task-filters").get_by_label("Group").fill("ward-8")
    await page.keyboard.press("Enter")
    await expect(titles).to_have_text(["echo ward-8 one", "echo ward-8 two"])


# ------------------------------------------------------------------ settling


@pytest.mark.parametrize(
    ("choice", "key", "outcome"),
    [
        ("It succeeded", "ended", "succeeded"),
        ("It failed", "dead", "dead"),
        ("It was stopped", "ended", "cancelled"),
        ("Run it again", "running", "retry"),
    ],
)
async def test_a_person_settles_what_nobody_knows_the_end_of(
    api: Api, open_board: Opener, start_robot: Start, choice: str, key: str, outcome: str
) -> None:
    robot = await start_robot("robot-1")
    page = await open_tasks(open_board)
    task = await submit_wait(api, LONG_S, on_orphan="ask", locks=["lift-2"])
    await expect(section(page, "running")).to_contain_text(f"wait {LONG_S} s")
    await robot.kill()
    await robot.start()
    unknown = section(page, "unknown")
    await expect(unknown.get_by_role("button", name=re.compile("Cancel"))).to_have_count(0)
    await unknown.get_by_role("button", name=re.compile("Settle")).click(timeout=SLOW_MS)
    dialog = page.locator("task-dialog")
    await expect(dialog.locator("task-force")).to_be_hidden()
    await dialog.get_by_label(choice).check()
    settle = dialog.locator("task-settle")
    await settle.get_by_label("What you saw").fill("the tray is there")
    await settle.get_by_role("button", name="Settle").click()
    await expect(dialog.locator("task-timeline")).to_contain_text(
        f"settled as {outcome} by demo: the tray is there"
    )
    await expect(settle).to_be_hidden()
    await page.keyboard.press("Escape")
    await expect(section(page, key)).to_contain_text(f"wait {LONG_S} s")
    await expect(unknown).to_be_hidden()
    held = [lock["task"] for lock in (await api.get("/api/locks"))["items"]]
    assert held == ([task["id"]] if outcome == "retry" else [])


# ------------------------------------------------------------------ moving by force


async def force(page: Page, device: str) -> Locator:
    dialog = await open_task(page, f"wait {LONG_S} s")
    forced = dialog.locator("task-force")
    await forced.get_by_text("Force to another device").click()
    await forced.get_by_label("To device").fill(device)
    await forced.get_by_role("button", name="Move it anyway").click()
    await expect(forced.locator("form")).to_be_visible()  # without a reason nothing is forced
    await forced.get_by_label("Why").fill("robot-1 is in the lake")
    await forced.get_by_role("button", name="Move it anyway").click()
    await expect(forced.get_by_role("status")).to_contain_text(f"It was moved to {device}.")
    return dialog


async def test_what_is_forced_away_from_a_robot_that_ran_it_is_marked_as_run_twice(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    """Promise 4: both runs are kept, and the page says so."""
    robot = await start_robot("robot-1")
    await start_robot("robot-2")
    page = await open_tasks(open_board)
    await submit_wait(api, LONG_S, device="robot-1")
    await expect(section(page, "running")).to_contain_text("robot-1")
    dialog = await open_task(page, f"wait {LONG_S} s")
    await dialog.get_by_text("Force to another device").click()
    await expect(dialog.locator("task-force")).to_contain_text(
        "robot-1 has this task and is connec"
    )
    await expect(dialog.locator("task-force form")).to_be_hidden()
    await robot.kill()
    await expect(dialog.locator("task-force .warning")).to_contain_text("It can then run twice")
    await page.keyboard.press("Escape")

    dialog = await force(page, "robot-2")
    await expect(dialog.get_by_role("status")).to_contain_text("robot-1 may run it as well")
    await expect(dialog.locator(".current-line").first).to_contain_text("Ran twice")
    attempts = dialog.locator("task-attempts .attempt")
    await expect(attempts).to_have_count(2)
    await expect(attempts.first).to_contain_text("robot-2")
    await expect(attempts.last).to_contain_text("robot-1")
    await expect(dialog.locator("task-timeline")).to_contain_text(
        "forced by demo: robot-1 is in the lake"
    )
    await page.keyboard.press("Escape")
    await expect(row(page, f"wait {LONG_S} s")).to_contain_text("Ran twice")
    await expect(row(page, f"wait {LONG_S} s")).to_contain_text("robot-2")


async def test_what_had_no_leave_to_start_is_moved_without_a_double_run(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    robot = await start_robot("robot-1")
    await start_robot("robot-2")
    page = await open_tasks(open_board)
    await submit_wait(api, LONG_S + 1, device="robot-1")
    await expect(section(page, "running")).to_contain_text("robot-1")
    await submit_wait(api, LONG_S, device="robot-1", offline="release")
    await expect(row(page, f"wait {LONG_S} s")).to_contain_text("robot-1")
    await robot.kill()
    dialog = await force(page, "robot-2")
    await expect(dialog.get_by_role("status")).to_contain_text("it does not run twice")
    await expect(dialog.locator(".current-line").first).to_contain_text("Running")
    await expect(dialog).not_to_contain_text("Ran twice")


async def test_what_comes_after_a_moved_task_waits_until_a_person_says_that_all_is_over(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    robot = await start_robot("robot-1")
    await start_robot("robot-2")
    page = await open_tasks(open_board)
    moved = await submit_wait(api, LONG_S, device="robot-1")
    after = [{"task": moved["id"], "on": "end"}]
    await api.submit("echo then", device="robot-2", after=after)
    await expect(section(page, "running")).to_contain_text("robot-1")
    await expect(section(page, "running")).not_to_contain_text("has not been heard")
    await robot.kill()
    await expect(section(page, "running")).to_contain_text(
        "Device: robot-1 has not been heard since"
    )
    dialog = await force(page, "robot-2")
    await expect(dialog.locator(".current-line").first).to_contain_text("Running")
    await expect(dialog).to_contain_text("Doubt: it was moved, and may still run where it was")
    await expect(dialog).not_to_contain_text("has not been heard")
    await dialog.get_by_role("button", name=re.compile("Cancel")).click()
    await expect(dialog.locator(".current-line").first).to_contain_text("Cancelled")
    await page.keyboard.press("Escape")
    await expect(row(page, "echo then")).to_contain_text(
        f"After: “wait {LONG_S} s” was moved, and may still run where it was"
    )
    await row(page, "echo then").get_by_role("link", name=f"“wait {LONG_S} s”").click()
    over = dialog.locator("task-over")
    await over.get_by_text("Declare over what ran before").click()
    await over.get_by_label("What you saw").fill("robot-1 lies on the bottom")
    await over.get_by_role("button", name="It is over").click()
    await expect(dialog.locator("task-timeline")).to_contain_text(
        "settled as over by demo: robot-1 lies on the bottom"
    )
    await page.keyboard.press("Escape")
    await expect(section(page, "ended")).to_contain_text("echo then")


# ------------------------------------------------------------------ locks


async def test_the_lock_of_a_silent_robot_is_suspect_until_a_person_releases_it(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    robot = await start_robot("robot-1")
    await start_robot("robot-2")
    page = await open_tasks(open_board)
    locks = page.locator("lock-list")
    await expect(locks).to_be_hidden()
    await submit_wait(api, LONG_S, device="robot-1", locks=["elevator-1"])
    held = locks.locator("lock-row", has_text="elevator-1")
    await expect(held).to_contain_text(f"robot-1 for “wait {LONG_S} s” · since")
    await api.submit("echo up", device="robot-2", locks=["elevator-1"])
    why = row(page, "echo up").locator(".task-why")
    await expect(why).to_contain_text(f"Lock: waits for the lock elevator-1: “wait {LONG_S} s”")
    await expect(held).not_to_contain_text("Holder silent")
    await robot.kill()
    await expect(held).to_contain_text("Holder silent")
    await held.get_by_role("button", name="Release elevator-1").click()
    await held.get_by_role("button", name="Release it").click()
    await expect(held.locator("form")).to_be_visible()  # without a reason nothing is released
    await held.get_by_label("How do you know").fill("I stand in it")
    await held.get_by_role("button", name="Release it").click()
    await expect(section(page, "ended")).to_contain_text("echo up")
    await expect(locks).to_be_hidden()
    dialog = await open_task(page, f"wait {LONG_S} s")
    await expect(dialog.locator("task-timeline")).to_contain_text(
        "lock elevator-1 released by demo: I stand in it"
    )


async def test_the_forms_of_a_phone_do_not_scroll_sideways(
    api: Api, open_board: Opener, start_robot: Start
) -> None:
    robot = await start_robot("robot-1")
    await submit_wait(api, LONG_S, locks=["elevator-of-the-north-wing-1"])
    page = await open_tasks(open_board, size=PHONE)
    await page.locator("lock-row").get_by_role("button", name="Release elev").click()
    await queue(page, "wait").get_by_role("switch").click()
    assert await page.evaluate("document.documentElement.scrollWidth === innerWidth")
    await robot.kill()
    dialog = await open_task(page, f"wait {LONG_S} s")
    await dialog.get_by_text("Force to another device").click()
    await expect(dialog.locator("task-force form")).to_be_visible()
    assert await page.locator("dialog[open]").evaluate("it => it.scrollWidth <= it.clientWidth")
