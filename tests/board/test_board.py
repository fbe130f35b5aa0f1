"""The board in a real browser, in front of a real hub.

``node_url_and_token`` comes from ``conftest.py``: the address of a running hub of one site, and a
token for it.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.board.browsing import PHONE, WAIT_MS, Api, Opener

BOARD = Path(__file__).parents[2] / "shared" / "board"


def tile(equipment: str, state: str) -> str:
    return f'button.tile[data-id="{equipment}"][data-state="{state}"]'


async def test_the_page_shows_a_tile_for_each_piece_of_equipment(
    api: Api, open_board: Opener
) -> None:
    await api.add("press-1", "green")
    await api.add("pump-7", "red")
    await api.add("oven-2")
    page = await open_board()
    await expect(page.locator(tile("press-1", "green"))).to_contain_text("Running")
    await expect(page.locator(tile("pump-7", "red"))).to_contain_text("Stopped")
    await expect(page.locator(tile("oven-2", "none"))).to_contain_text("No report")
    worst = page.locator("button.tile").first
    await expect(worst).to_have_attribute("data-id", "pump-7")


async def test_red_from_the_dialog_reaches_the_tile_and_the_api(
    api: Api, open_board: Opener
) -> None:
    await api.add("press-1", "green")
    page = await open_board()
    await page.click(tile("press-1", "green"))
    await page.get_by_role("radio", name=re.compile("Stopped")).check()
    await page.get_by_label("Reason").fill("jam")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(tile("press-1", "red"))).to_contain_text("jam")
    record = await api.get("/api/equipment/press-1")
    assert (record["state"], record["reason"], record["conflicts"]) == ("red", "jam", [])

    await page.click(tile("press-1", "red"))
    await expect(page.locator(".history-list > li")).to_have_count(2)


async def test_what_another_client_says_appears_by_itself(api: Api, open_board: Opener) -> None:
    await api.add("press-1", "green")
    page = await open_board()
    await page.wait_for_selector(tile("press-1", "green"))
    await api.report("press-1", {"state": "yellow", "reason": "noisy"})
    await expect(page.locator(tile("press-1", "yellow"))).to_contain_text("noisy")


async def test_a_report_made_in_a_dialog_that_went_stale_becomes_a_conflict(
    api: Api, open_board: Opener
) -> None:
    """Promise 4: the person had not seen what the other one said."""
    await api.add("press-1", "green")
    page = await open_board()
    await page.click(tile("press-1", "green"))
    await api.report("press-1", {"state": "red", "reason": "leak"})
    await expect(page.locator(".changed")).to_be_visible()
    await page.get_by_role("radio", name=re.compile("Attention")).check()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("conflict-list .card")).to_contain_text("leak")
    await expect(page.locator(tile("press-1", "red"))).to_contain_text("Conflict")


async def test_one_tap_settles_a_conflict(api: Api, open_board: Opener) -> None:
    await api.disagree("press-1")
    page = await open_board()
    card = page.locator("conflict-list .card")
    await expect(card).to_contain_text("leak")
    await expect(card).to_contain_text("cleared")
    await card.get_by_role("button", name=re.compile("Keep this: Running")).click()
    await expect(card).to_have_count(0)
    await expect(page.locator(tile("press-1", "green"))).not_to_contain_text("Conflict")
    assert (await api.get("/api/conflicts"))["items"] == []
    assert (await api.get("/api/equipment/press-1"))["state"] == "green"


async def test_a_conflict_is_settled_in_the_dialog_of_its_equipment(
    api: Api, open_board: Opener
) -> None:
    await api.disagree("press-1")
    page = await open_board()
    await page.click(tile("press-1", "red"))
    dialog = page.locator("equipment-dialog dialog")
    await expect(dialog).to_contain_text("Said without knowing of each other")
    await dialog.get_by_role("button", name=re.compile("Keep this: Running")).click()
    await expect(dialog.locator(".siblings")).to_be_hidden()
    await expect(dialog.locator(".current")).to_contain_text("cleared")
    await expect(dialog.locator(".changed")).to_be_hidden()
    await expect(dialog.locator(".history-list > li")).to_have_count(3)
    assert (await api.get("/api/conflicts"))["items"] == []


async def test_the_keyboard_keeps_its_place_when_what_it_pressed_goes_away(
    api: Api, open_board: Opener
) -> None:
    await api.disagree("press-1")
    await api.send("POST", "/api/tasks", {"command": "echo hello", "device": "robot-9"})
    page = await open_board()
    await page.get_by_role("button", name=re.compile("Keep this: Stopped")).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Conflicts")).to_be_focused()

    row = page.locator(".task", has_text="echo hello")
    await row.get_by_role("button", name=re.compile("Cancel")).focus()
    await page.keyboard.press("Enter")
    await expect(row).to_contain_text("Cancelled")
    await expect(row.locator(".task-open")).to_be_focused()


async def test_a_task_that_waits_for_another_names_it_and_leads_to_it(
    api: Api, open_board: Opener
) -> None:
    await api.send("POST", "/api/tasks", {"command": "echo first"})
    [first] = (await api.get("/api/tasks"))["items"]
    await api.send("POST", "/api/tasks", {"command": "echo second", "after": [first["id"]]})
    page = await open_board()
    second = page.locator(".task", has_text="echo second")
    await expect(second.locator(".task-why")).to_contain_text("“echo first”")
    await second.locator(".task-open").click()
    dialog = page.locator("task-dialog")
    await dialog.locator(".facts").get_by_role("link", name="echo first").click()
    await expect(dialog.get_by_role("heading", name="echo first")).to_be_visible()


async def test_a_retried_task_numbers_its_attempts_on(api: Api, open_board: Opener) -> None:
    """The claim counts anew after each allocation; a person would read two first attempts."""
    page = await open_board()
    attempt: dict[str, Any] = {
        "id": "a",
        "device": "robot-1",
        "started_at": "2026-01-01T00:00:00.000Z",
    }
    attempt |= {"ended_at": "2026-01-01T00:00:01.000Z", "outcome": "failed", "error": None}
    attempts = [attempt | {"claim": {"n": n, "attempt": 1}, "output": None} for n in (1, 2)]
    await api.send("POST", "/api/tasks", {"command": "false"})
    [task] = (await api.get("/api/tasks"))["items"]
    await page.route(
        f"**/api/tasks/{task['id']}",
        lambda route: route.fulfill(json=task | {"attempts": attempts}),
    )
    await page.locator(".task-open").click()
    await expect(page.locator(".attempt")).to_contain_text(["attempt 2 on", "attempt 1 on"])


async def test_the_switch_cuts_the_link_and_mends_it(open_board: Opener, agent_url: str) -> None:
    page = await open_board(at=agent_url)
    uplink = page.locator("uplink-switch")
    await expect(uplink).to_contain_text("Connected to hub")
    await expect(page.locator("task-list .empty")).to_contain_text("the hub lists all")
    await page.get_by_role("switch", name="Link to hub").click()
    await expect(uplink).to_contain_text("Cut on purpose")
    await expect(page.locator("conflict-list .empty")).to_contain_text("None known here")
    await page.get_by_role("switch", name="Link to hub").click()
    await expect(uplink).to_contain_text("Connected to hub")
    await expect(page.locator("conflict-list .empty")).to_contain_text("None to settle")


async def test_a_silent_node_is_said_to_be_silent_and_a_repeated_report_is_saved_once(
    api: Api, open_board: Opener, agent_url: str
) -> None:
    await api.add("press-1", "green")
    page = await open_board(at=agent_url)
    await page.click(tile("press-1", "green"))
    await page.context.set_offline(True)
    await expect(page.locator(".banner")).to_contain_text("What you see may be old")
    await expect(page.locator("uplink-switch")).to_contain_text("Link not known")

    await page.get_by_role("radio", name=re.compile("Stopped")).check()
    save = page.get_by_role("button", name="Save")
    await save.click()
    await expect(page.locator("equipment-dialog")).to_contain_text("it is saved once only")
    await page.context.set_offline(False)
    await page.wait_for_selector("body[data-phase=live]")
    await expect(page.locator(".history-list > li")).to_have_count(1)
    await save.click()
    await page.click(tile("press-1", "red"))
    await expect(page.locator(".history-list > li")).to_have_count(2)


async def test_a_board_opens_while_its_node_is_silent(open_board: Opener) -> None:
    page = await open_board()
    await page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    await page.context.set_offline(True)
    await page.reload()
    await expect(page.locator(".banner")).to_contain_text("Not connected to this node")
    await expect(page.locator("equipment-tiles .empty")).to_contain_text("cannot be reached")


async def test_a_submitted_command_is_listed(api: Api, open_board: Opener) -> None:
    page = await open_board()
    await page.get_by_role("button", name="New task", exact=True).click()
    await page.get_by_label("Command", exact=True).fill("echo 'hello board'")
    await page.get_by_text("More", exact=True).click()
    await page.locator("task-form").get_by_label("Priority").select_option("high")
    await page.get_by_role("button", name="Submit").click()
    row = page.locator(".task", has_text="echo 'hello board'")
    await expect(row).to_contain_text("high priority")
    [task] = (await api.get("/api/tasks"))["items"]
    assert task["payload"] == {"argv": ["echo", "hello board"]}

    await row.locator(".task-open").click()
    await expect(page.locator("task-dialog .facts")).to_contain_text("command")


async def test_a_refused_task_says_why_and_keeps_what_was_typed(open_board: Opener) -> None:
    page = await open_board()
    await page.get_by_role("button", name="New task", exact=True).click()
    command = page.get_by_label("Command", exact=True)
    await command.fill("echo 'unbalanced")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator("task-form problem-text")).not_to_be_empty()
    await expect(command).to_have_value("echo 'unbalanced")


async def test_an_id_that_is_taken_is_refused_in_words_for_people(
    api: Api, open_board: Opener
) -> None:
    await api.add("press-1", "green")
    page = await open_board()
    await page.get_by_role("button", name="Add equipment").click()
    await page.keyboard.type("press-1")
    await page.keyboard.press("Enter")
    await expect(page.locator("equipment-form problem-text")).to_contain_text("Choose another id")
    await page.locator("equipment-form input[name=id]").fill("press-2")
    await page.keyboard.press("Enter")
    await expect(page.locator(tile("press-2", "none"))).to_be_visible()


async def test_a_task_that_shall_stop_at_a_device_that_is_away_says_so(
    api: Api, open_board: Opener
) -> None:
    """Asked of the page: the hub shows `cancelling` without a reason in `waits_for`."""
    page = await open_board()
    await api.send("POST", "/api/tasks", {"command": "echo on", "device": "robot-9"})
    [task] = (await api.get("/api/tasks"))["items"]
    shown = task | {"status": "cancelling", "waits_for": []}
    await page.route(f"**/api/tasks/{task['id']}", lambda route: route.fulfill(json=shown))
    await page.locator(".task-open").click()
    await expect(page.locator("task-dialog .task-why")).to_contain_text(
        "Asked to stop: robot-9 has not answered yet"
    )


async def test_a_phone_has_no_horizontal_scroll(api: Api, open_board: Opener) -> None:
    await api.disagree("a-machine-with-a-very-long-name-that-nobody-shortened")
    await api.send("POST", "/api/tasks", {"command": f"echo {'x' * 300}"})
    page = await open_board(PHONE)
    for section in ("Equipment", "Conflicts", "Tasks", "Devices"):
        tabs = page.locator("section-tabs")
        await tabs.get_by_role("button", name=re.compile(section)).click()
        await expect(page.locator("main > .chosen")).to_be_visible()
        widths = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert widths == [PHONE[0], PHONE[0]], section


async def test_the_words_and_counts_of_a_phones_tabs_keep_clear_of_their_edges(
    api: Api, open_board: Opener
) -> None:
    for number in range(10):
        await api.add(f"robot-{number}", "red")
    page = await open_board(PHONE)
    tabs = page.locator("section-tabs")
    await expect(tabs.locator(".count").first).to_have_text("10")
    clear = await tabs.locator("button:visible").evaluate_all(
        """(buttons) => buttons.flatMap((button) => {
            const { left, right } = button.getBoundingClientRect();
            const word = document.createRange();
            word.selectNodeContents(button.firstChild);
            const parts = [word, ...button.querySelectorAll(".count:not(:empty)")];
            return parts.map((part) => part.getBoundingClientRect())
                .flatMap((box) => [box.left - left, right - box.right]);
        })"""
    )
    assert len(clear) > 2 * 5  # each word has two sides, and a count besides
    assert min(clear) >= 6


async def test_the_keyboard_alone_sets_a_state(api: Api, open_board: Opener) -> None:
    await api.add("press-1", "green")
    page = await open_board()
    await page.wait_for_selector(tile("press-1", "green"))
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.dataset.id === 'press-1'"):
            break
    await page.keyboard.press("Enter")
    await page.wait_for_selector("dialog[open]")
    # From the close button to the choices; the arrows go from green over yellow to red.
    for key in ("Tab", "Space", "ArrowRight", "ArrowRight", "Tab"):
        await page.keyboard.press(key)
    await page.keyboard.type("jam")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(tile("press-1", "red"))
    assert (await api.get("/api/equipment/press-1"))["reason"] == "jam"
    assert await page.evaluate("document.activeElement.dataset.id") == "press-1"


async def test_without_a_token_the_page_asks_for_one(
    api: Api, open_board: Opener, node_url_and_token: tuple[str, str]
) -> None:
    url, token = node_url_and_token
    await api.add("press-1", "green")
    page = await open_board(token=None)
    await expect(page.locator("main")).to_be_hidden()
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    await page.wait_for_selector(tile("press-1", "green"))

    await page.evaluate("location.hash = '#token=wrong'")
    await expect(page.locator("token-form")).to_contain_text("does not accept the token")
    await expect(page.locator("main")).to_be_hidden()

    other = await open_board()
    assert other.url == f"{url}/", "the token stays out of the address bar"


@pytest.mark.parametrize("view", ["tasks", "bookings"])
async def test_without_a_token_no_page_says_anything_but_who_is_there(
    open_board: Opener, node_url_and_token: tuple[str, str], view: str
) -> None:
    url, token = node_url_and_token
    page = await open_board(token=None, at=f"{url}/#{view}")
    await expect(page.get_by_role("heading", name="Who is there?")).to_be_visible()
    await expect(page.locator("main")).to_be_hidden()
    await page.get_by_label("Token").fill(token)
    await page.keyboard.press("Enter")
    await expect(page.locator(f"{view.removesuffix('s')}-page")).to_be_visible()


async def test_the_api_page_needs_nothing_from_elsewhere(
    browser: Browser, node_url_and_token: tuple[str, str]
) -> None:
    url, _ = node_url_and_token
    page = await browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{url}/docs")
    await page.wait_for_selector(".opblock", timeout=WAIT_MS)
    assert [address for address in asked if not address.startswith((url, "data:"))] == []


def test_the_service_worker_keeps_exactly_the_shell() -> None:
    worker = (BOARD / "service-worker.js").read_text()
    kept = set(re.findall(r'"(/[^"]*)"', worker))
    unneeded = {"__init__.py", "service-worker.js", "index.html"}
    files = {f.name for f in BOARD.iterdir() if f.is_file() and f.stem != "docs"} - unneeded
    assert kept == {"/"} | {f"/board/{name}" for name in files}
