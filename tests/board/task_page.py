"""Where things are on the page of the tasks."""

from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.board.browsing import Opener


async def open_tasks(open_board: Opener, **options: Any) -> Page:
    page = await open_board(**options)
    await page.evaluate("location.hash = '#tasks'")
    await expect(page.locator("task-page")).to_be_visible()
    return page


def section(page: Page, key: str) -> Locator:
    return page.locator(f'task-page task-section[data-section="{key}"]')


def row(page: Page, title: str) -> Locator:
    return page.locator("task-page .task", has_text=title)
