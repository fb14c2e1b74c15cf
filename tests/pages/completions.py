"""The completion of the query, as a person uses it with the keyboard."""

from __future__ import annotations

from playwright.async_api import Page, expect

QUERY, OPTIONS = "#query", "#query-options [role=option]"


async def open_completions(page: Page) -> None:
    """Type the beginning of a site; the completions open below."""
    await page.fill(QUERY, "site:sh")
    await expect(page.locator(OPTIONS).first).to_be_visible()


async def completion_faults(page: Page) -> list[str]:
    """Choose a field and its value with arrows, Tab and Enter; say what is wrong."""
    query = page.locator(QUERY)
    steps = []
    await page.fill(QUERY, "NOT si")
    await expect(page.locator(OPTIONS).first).to_have_text("siteSite")
    await query.press("ArrowDown")
    chosen = await page.locator(OPTIONS).first.get_attribute("id")
    steps.append((await query.get_attribute("aria-activedescendant"), chosen))
    await query.press("Tab")
    steps.append((await query.input_value(), "NOT site:"))
    await query.press_sequentially("shang")
    await expect(page.locator(OPTIONS).first).to_contain_text("shanghai-01")
    await query.press("Escape")
    steps.append((await query.get_attribute("aria-expanded"), "false"))
    await query.press("ArrowDown")
    await expect(page.locator(OPTIONS).first).to_be_visible()
    await query.press("ArrowUp")
    await query.press("Enter")
    steps.append((await query.input_value(), "NOT site:shanghai-01"))
    await query.press("Enter")
    await page.wait_for_url("**/fleet/?q=NOT+site%3Ashanghai-01")
    return [
        f"completion: {is_!r} is not {wanted!r}"
        for is_, wanted in steps
        if is_ != wanted
    ]
