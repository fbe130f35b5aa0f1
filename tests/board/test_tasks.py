"""The tasks in full, in a real browser, in front of a real hub and a real robot.

Only what other nodes may say, and these do not at the time, is answered in their place.
"""

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.board.browsing import DESKTOP, PHONE, WAIT_MS, Api, Opener
from tests.board.task_page import open_tasks, row, section

AWAY = "robot-9"  # never connects: what is pinned to it waits for ever
SLOW_S = 60
LINES = "it => it.getBoundingClientRect().height / parseFloat(getComputedStyle(it).lineHeight)"


async def answer_with(page: Page, task: dict[str, Any], **changes: Any) -> None:
    """Show a task with other fields than the node's own."""
    await page.route(f"**/api/tasks/{task['id']}", lambda route: route.fulfill(json=task | changes))


# ------------------------------------------------------------------ lists


async def test_the_queue_stands_by_priority_and_says_why_each_task_waits(
    api: Api, open_board: Opener
) -> None:
    first = await api.submit("echo first", device=AWAY)
    await api.submit("echo then", after=[first["id"]], priority="high")
    await api.submit("echo later", not_before="2999-01-01T10:00:00Z", priority="low", device=AWAY)
    await api.submit("echo now", device=AWAY, priority="critical")
    page = await open_tasks(open_board)
    waiting = section(page, "waiting")
    await expect(waiting.locator(".task-title")).to_have_text(
        ["echo now", "echo then", "echo first", "echo later"]
    )
    await expect(waiting.locator("h4")).to_have_text(
        ["Critical priority", "High priority", "Normal priority", "Low priority"]
    )
    await expect(row(page, "echo now").locator(".task-why")).to_contain_text(f"Device: {AWAY}")
    await row(page, "echo then").get_by_role("link", name="“echo first”").click()
    await expect(page.get_by_role("heading", name="echo first")).to_be_visible()


async def test_a_task_is_followed_from_waiting_to_its_end(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    page = await open_tasks(open_board)
    await api.send("POST", "/api/tasks", {"type": "wait", "payload": {"seconds": SLOW_S}})
    await expect(section(page, "running")).to_contain_text(f"wait {SLOW_S} s")
    await api.submit("echo hello")
    await expect(section(page, "waiting")).to_contain_text("echo hello")
    await section(page, "running").get_by_role("button", name=re.compile("Cancel")).click()
    await expect(section(page, "ended")).to_contain_text("Cancelled")
    await expect(section(page, "ended")).to_contain_text("echo hello", timeout=WAIT_MS)
    await expect(section(page, "running").locator(".empty")).to_be_visible()


async def test_one_tap_lets_a_dead_task_run_again(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    await api.submit("ls /nonexistent", max_attempts=1)
    page = await open_tasks(open_board)
    dead = section(page, "dead")
    await expect(dead).to_contain_text("exit status 2", timeout=WAIT_MS)
    [task] = (await api.get("/api/tasks"))["items"]
    await dead.get_by_role("button", name=re.compile("Retry")).click()
    await expect(dead.locator(".task-open")).to_be_visible()
    await dead.locator(".task-open").click()
    await expect(page.locator("task-dialog .attempt")).to_have_count(2, timeout=WAIT_MS)
    again = await api.get(f"/api/tasks/{task['id']}")
    assert (again["status"], len(again["attempts"])) == ("dead", 2)


async def test_a_chip_counts_a_status_and_shows_it_alone(api: Api, open_board: Opener) -> None:
    one = await api.submit("echo one", device=AWAY)
    await api.submit("echo two", device=AWAY)
    await api.send("POST", f"/api/tasks/{one['id']}/cancel", {})
    page = await open_tasks(open_board)
    chip = page.locator('task-chips [data-status="cancelled"]')
    await expect(chip).to_have_text("Cancelled1")
    await chip.click()
    await expect(page.locator(".task-one .task")).to_have_count(1)
    await expect(page.locator(".task-columns")).to_be_hidden()
    assert page.url.endswith("#tasks&status=cancelled")
    await page.reload()
    await expect(page.locator(".task-one .task")).to_contain_text("echo one")


async def test_a_list_that_is_whole_is_counted_by_itself(api: Api, open_board: Opener) -> None:
    """✗ The node counts now and then: "Waiting 0" stood above a task that waited."""
    page = await open_board()
    nothing = {"total": 0, "by_status": {}, "by_type": {}, "by_priority": {}, "exact": True}
    await page.route("**/api/tasks/summary", lambda route: route.fulfill(json=nothing))
    await page.evaluate("location.hash = '#tasks'")
    for count in ("1", "2"):
        await api.submit("echo one", device=AWAY)
        await expect(section(page, "waiting").locator(".section-count")).to_have_text(count)


async def test_filters_narrow_every_list_and_stand_in_the_address(
    api: Api, open_board: Opener
) -> None:
    await api.submit("echo one", device=AWAY)
    await api.submit("echo two", device="robot-8", priority="low")
    page = await open_tasks(open_board)
    filters = page.locator("task-filters")
    await filters.get_by_label("Device").fill(AWAY)
    await page.keyboard.press("Enter")
    await expect(section(page, "waiting").locator(".task-title")).to_have_text(["echo one"])
    await api.submit("echo three", device="robot-8")
    await api.submit("echo four", device=AWAY)
    await expect(section(page, "waiting").locator(".task-title")).to_have_text(
        ["echo one", "echo four"]
    )
    await filters.get_by_label("Priority").select_option("low")
    await expect(section(page, "waiting").locator(".empty")).to_be_visible()
    assert page.url.endswith(f"#tasks&device={AWAY}&priority=low")
    await filters.get_by_role("button", name="Clear filters").click()
    await expect(section(page, "waiting").locator(".task-title")).to_have_count(4)


async def test_a_page_stays_small_however_many_tasks_there_are(
    api: Api, open_board: Opener
) -> None:
    async def fill(count: int, priority: str) -> None:
        for start in range(0, count, 50):
            some = range(start, min(count, start + 50))
            await asyncio.gather(
                *(api.submit(f"echo {priority} {n}", device=AWAY, priority=priority) for n in some)
            )

    await fill(300, "normal")
    page = await open_tasks(open_board)
    waiting = section(page, "waiting")
    titles = waiting.locator(".task-title")
    await expect(titles).to_have_count(50)
    await fill(200, "high")
    await expect(page.locator('task-chips [data-status="blocked"]')).to_contain_text("500")
    await expect(titles).to_have_count(50)
    await waiting.get_by_role("button", name="Show more").click()
    await expect(titles).to_have_count(100)
    listed = (await api.get("/api/tasks?order=urgent&limit=100"))["items"]
    await expect(titles).to_have_text([" ".join(task["payload"]["argv"]) for task in listed])


# ------------------------------------------------------------------ one task


async def test_a_link_leads_to_a_task_and_back_closes_it(
    api: Api, open_board: Opener, node_url_and_token: tuple[str, str]
) -> None:
    url, _ = node_url_and_token
    task = await api.submit("echo linked", device=AWAY)
    page = await open_board()
    await page.goto(f"{url}/#task={task['id']}")
    dialog = page.locator("task-dialog dialog")
    await expect(dialog.get_by_role("heading", name="echo linked")).to_be_visible()
    await page.reload()
    await expect(dialog.get_by_role("heading", name="echo linked")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page).to_have_url(f"{url}/")

    await page.evaluate("location.hash = '#tasks'")
    await row(page, "echo linked").locator(".task-open").click()
    await expect(dialog).to_be_visible()
    await page.go_back()
    await expect(dialog).to_be_hidden()
    await expect(page).to_have_url(f"{url}/#tasks")


async def test_a_link_to_a_task_survives_signing_in(
    api: Api, open_board: Opener, node_url_and_token: tuple[str, str]
) -> None:
    url, token = node_url_and_token
    task = await api.submit("echo linked", device=AWAY)
    page = await open_board(token=None, at=f"{url}/#task={task['id']}")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    dialog = page.locator("task-dialog dialog")
    await expect(dialog.get_by_role("heading", name="echo linked")).to_be_visible()


async def test_a_link_to_a_task_that_is_not_known_says_what_that_may_mean(
    open_board: Opener, node_url_and_token: tuple[str, str]
) -> None:
    url, _ = node_url_and_token
    page = await open_board()
    await page.goto(f"{url}/#task=0199b5c0-7d1e-7c3a-9a55-2f6f0c1d2e3f")
    await expect(page.locator("task-dialog problem-text")).to_contain_text("not known here")


async def test_a_task_shows_all_that_is_set_and_its_timeline(api: Api, open_board: Opener) -> None:
    task = await api.submit(
        "echo whole",
        device=AWAY,
        group="ward-3",
        locks=["lift-2"],
        deadline="2999-01-01T10:00:00Z",
        start_to_close_s=90,
        heartbeat_s=20,
        unique="round",
        checks=[{"name": "stock", "ask": {"item": "syringe"}}],
    )
    await api.send("POST", f"/api/tasks/{task['id']}/priority", {"priority": "high"})
    page = await open_tasks(open_board)
    await row(page, "echo whole").locator(".task-open").click()
    facts = page.locator("task-dialog .facts")
    for words in ("ward-3", "lift-2", "2999", "2 min", "20 s", "round", "stock", "syringe"):
        await expect(facts).to_contain_text(words)
    timeline = page.locator("task-timeline li")
    await expect(timeline.first).to_contain_text("priority high requested")
    await expect(timeline.last).to_contain_text("submitted")
    await expect(timeline.last).to_contain_text("demo · on hub")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
async def test_a_long_command_takes_a_few_lines_and_stands_in_the_task_as_a_whole(
    api: Api, open_board: Opener, size: tuple[int, int]
) -> None:
    """✗ It was shortened nowhere, and buried the list and the task."""
    script = " ".join(f"{number:05}" for number in range(5000))
    await api.submit(f"echo '{script}'", device=AWAY)
    await api.submit("echo titled", title="T" * 199 + "L", device=AWAY)
    page = await open_board(size)
    await page.evaluate("location.hash = '#tasks'")
    for words, whole in (("echo '00000 00001", "04999"), ("TTTT", "TTTTL")):
        shown = row(page, words)
        await expect(shown).to_be_visible()
        height = await shown.locator(".task-title").evaluate(LINES)
        assert height <= 2.1, f"{height} lines"
        await shown.locator(".task-open").click()
        head = page.locator("task-dialog h2")
        await expect(head).to_contain_text(words)
        assert await head.evaluate(LINES) <= 3.1
        await expect(page.locator("task-dialog .facts")).to_contain_text(whole)
        box = await page.locator("task-dialog .facts").bounding_box()
        assert box is not None
        assert box["height"] < 1200
        await page.locator("task-dialog .close").click()


async def test_the_keyboard_alone_changes_a_priority_while_the_task_waits(
    api: Api, open_board: Opener
) -> None:
    task = await api.submit("echo urgent", device=AWAY)
    page = await open_tasks(open_board)
    await row(page, "echo urgent").locator(".task-open").focus()
    await page.keyboard.press("Enter")
    select = page.locator("task-priority select")
    await expect(select).to_be_visible()
    await select.focus()
    await page.keyboard.press("c")
    await expect(section(page, "waiting").locator("h4")).to_have_text(["Critical priority"])
    assert (await api.get(f"/api/tasks/{task['id']}"))["priority"] == "critical"
    await page.keyboard.press("Escape")
    await expect(row(page, "echo urgent").locator(".task-open")).to_be_focused()


async def test_news_of_a_task_leaves_alone_what_is_being_read(
    api: Api, open_board: Opener, robot_url: str
) -> None:
    task = await api.submit("seq 1 300")
    page = await open_tasks(open_board)
    await expect(section(page, "ended")).to_contain_text("seq 1 300", timeout=WAIT_MS)
    await row(page, "seq 1 300").locator(".task-open").click()
    output = page.locator("task-attempts pre")
    await output.evaluate("node => { node.scrollTop = 500; }")
    done = await api.get(f"/api/tasks/{task['id']}")
    more = done["attempts"] + [done["attempts"][0] | {"claim": {"n": 2, "attempt": 1}}]
    await answer_with(page, done, attempts=more)
    await page.evaluate("document.querySelector('task-dialog').load()")
    await expect(page.locator("task-attempts .attempt")).to_have_count(2)
    assert await output.last.evaluate("node => node.scrollTop") == 500


# ------------------------------------------------------------------ what other nodes may say


@pytest.mark.parametrize(
    ("progress", "fraction", "words"),
    [
        ({"percent": 40, "message": "on the way"}, 0.4, "40 % · on the way"),
        ({"done": 3, "total": 4}, 0.75, "75 % · 3 of 4"),
        ({"said": "copied 7 files"}, None, "copied 7 files"),
        ({"waited_s": 15.2, "seconds": 60.8}, 0.25, "25 % · 15 of 60.8 s"),
        ({"floor": 2, "door": "open", "done": 3}, None, "floor: 2 · door: open · done: 3"),
    ],
)
async def test_a_run_tells_how_far_it_is(
    api: Api, open_board: Opener, progress: dict[str, Any], fraction: float | None, words: str
) -> None:
    task = await api.submit("echo far", device=AWAY)
    attempt = {
        "id": "a",
        "device": AWAY,
        "claim": {"epoch": "e", "n": 1, "attempt": 1},
        "started_at": "2026-01-01T00:00:00.000Z",
        "ended_at": None,
        "outcome": None,
        "error": None,
        "output": None,
        "progress": progress,
    }
    page = await open_tasks(open_board)
    await answer_with(page, task, status="running", waits_for=[], attempts=[attempt])
    await row(page, "echo far").locator(".task-open").click()
    shown = page.locator("task-dialog .task-progress")
    await expect(shown).to_contain_text(words)
    bars = await shown.locator("progress").evaluate_all("bars => bars.map(bar => bar.value)")
    assert bars == ([] if fraction is None else [fraction])


async def test_what_a_node_does_not_serve_is_not_shown(api: Api, open_board: Opener) -> None:
    task = await api.submit("echo plain", device=AWAY)
    page = await open_tasks(open_board)
    await answer_with(page, {k: v for k, v in task.items() if k != "allocation"}, status="unknown")
    await row(page, "echo plain").locator(".task-open").click()
    await expect(page.locator("task-dialog .facts")).to_be_visible()
    for part in ("task-settle", "task-force", ".terms"):
        await expect(page.locator(f"task-dialog {part}")).not_to_be_visible()


# ------------------------------------------------------------------ submitting, phones


async def test_a_task_is_submitted_with_all_that_the_form_has(api: Api, open_board: Opener) -> None:
    first = await api.submit("echo first", device=AWAY)
    page = await open_tasks(open_board)
    await page.get_by_role("button", name="New task", exact=True).click()
    form = page.locator("task-form")
    await form.get_by_label("Command", exact=True).fill("echo second")
    await form.get_by_text("More", exact=True).click()
    await form.get_by_label("Title").fill("Second round")
    await form.get_by_label("Priority").select_option("high")
    await form.get_by_label("Device").fill(AWAY)
    await form.get_by_label("After").fill(first["id"])
    await form.get_by_label("Group").fill("ward-3")
    await form.get_by_label("Deadline").fill("2999-01-01T10:00")
    await form.get_by_label("Locks").fill("lift-2 local:arm")
    await form.get_by_role("button", name="Submit").click()
    await expect(row(page, "Second round")).to_be_visible()
    task = (await api.get("/api/tasks"))["items"][0]
    assert (task["title"], task["payload"]) == ("Second round", {"argv": ["echo", "second"]})
    assert (task["priority"], task["device"], task["group"]) == ("high", AWAY, "ward-3")
    assert task["locks"] == ["lift-2", "local:arm"]
    assert [edge["task"] for edge in task["after"]] == [first["id"]]
    assert task["deadline"].startswith(("2998-12-31", "2999-01-01"))


async def test_the_tasks_of_a_phone_do_not_scroll_sideways(api: Api, open_board: Opener) -> None:
    first = await api.submit(f"echo {'x' * 300}", device=AWAY, group="ward-3")
    await api.submit("echo then", after=[first["id"]])
    page = await open_board(PHONE)
    await page.locator("section-tabs").get_by_role("button", name="Tasks").click()
    await expect(row(page, "echo then")).to_be_visible()
    await page.get_by_role("button", name="Filters").click()
    await expect(page.locator("task-filters").get_by_label("Device")).to_be_visible()
    fits = "document.documentElement.scrollWidth === innerWidth"
    assert await page.evaluate(fits)
    await row(page, "xxx").locator(".task-open").first.click()
    await expect(page.locator("task-dialog .facts")).to_be_visible()
    assert await page.locator("dialog[open]").evaluate("it => it.scrollWidth <= it.clientWidth")
