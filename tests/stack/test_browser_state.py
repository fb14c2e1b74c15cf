"""A device's state in the browser: charts under our CSP, judgments on focus."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import ConsoleMessage, Page, expect

pytestmark = [pytest.mark.stack, pytest.mark.browser]

SLOW = 60_000  # ms: a simulated device measures only now and then


def test_charts_are_drawn_and_judgments_are_explained_on_focus(
    page: Page, platform_stack: Any
) -> None:
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(platform_stack.url)
    page.get_by_label("Name", exact=False).first.fill("operator@acme")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/queue/"))
    query = "product:sensor-s1 AND connectivity:online AND metric.temperature:*"
    page.goto(f"{platform_stack.url}/fleet/?q={query}")
    page.locator("a.uid").first.click()

    expect(page.locator("figure.course canvas").first).to_be_visible(timeout=SLOW)
    page.get_by_role("link", name="7 days").click()
    expect(
        page.get_by_role("heading", name="Metrics of the last 7 days")
    ).to_be_visible()
    expect(page.locator("figure.course canvas").first).to_be_visible()
    page.get_by_text("Show as table").first.click()
    expect(page.get_by_role("columnheader", name="Mean").first).to_be_visible()

    mark = page.locator("#condition .tag.judged").first
    mark.focus()
    tip = page.locator(".tip-box")
    expect(tip).to_be_visible()
    expect(tip).to_contain_text("judged by the connectivity rules")
    assert problems == []
