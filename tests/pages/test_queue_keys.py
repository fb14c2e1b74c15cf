"""The queue in Chromium: worked through by keys alone, which can be switched off."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page

from console.models import Incident
from tests.console.incidents import make_incident
from tests.factories import MembershipFactory
from tests.pages.walk import (
    LIGHT_AND_WIDE,
    REPORT_VIOLATIONS,
    Tab,
    barriers_of,
    in_chromium,
)
from tests.pages.world import session_of

pytestmark = pytest.mark.browser
HERE = "document.activeElement.closest('tr')?.querySelector('a.open').textContent ?? ''"
ON = "localStorage.getItem('keys') !== 'off'"


@pytest.fixture
def person() -> Any:
    membership = MembershipFactory.create()
    membership.user.set_unusable_password()
    membership.user.save()
    for severity in ("critical", "warning", "info"):
        make_incident(
            membership.tenant,
            object_id=severity,
            title=f"{severity} one",
            severity=severity,
        )
    return membership.user


async def press(page: Page, keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


def test_the_queue_is_worked_through_by_keys_which_can_be_switched_off(
    transactional_db: None, address: str, person: Any
) -> None:
    cookie = session_of(person)
    seen: dict[str, Any] = {}

    async def work(browser: Browser) -> list[str]:
        context = await browser.new_context()
        await context.add_init_script(REPORT_VIOLATIONS)
        session = {"name": "sessionid", "value": cookie, "url": address}
        await context.add_cookies([session])  # type: ignore[list-item]
        tab = await Tab.new(context)
        page = tab.page
        await tab.open(f"{address}/queue/")

        await press(page, "jjk")
        seen["first"] = await page.evaluate(HERE)
        await press(page, "j")
        async with page.expect_navigation():
            await press(page, "c")
        await page.get_by_text("is yours").wait_for()
        seen["after the claim"] = await page.evaluate(HERE)

        await press(page, "j")
        async with page.expect_navigation():
            await press(page, "r")
        async with page.expect_navigation():
            await press(page, "u")
        await page.get_by_text("is as before").wait_for()
        await press(page, "/")
        await press(page, "rj?")
        seen["typed"] = await page.locator("#find").input_value()
        await page.evaluate("document.activeElement.blur()")
        async with page.expect_navigation():
            await press(page, "gi")
        seen["went to"] = page.url.removeprefix(address)

        await press(page, "?")
        await page.get_by_role("dialog", name="Keys").wait_for()
        barriers = await barriers_of(page, LIGHT_AND_WIDE)
        await page.get_by_label("Keys are on in this browser").uncheck()
        await page.get_by_role("button", name="Close").click()
        seen["is on"] = await page.evaluate(ON)
        await page.evaluate("document.activeElement.blur()")
        await press(page, "gqj")
        seen["stays at"] = page.url.removeprefix(address)
        seen["nothing"] = await page.evaluate(HERE)
        return [*tab.faults, *barriers]

    assert in_chromium(work) == []

    assert seen == {
        "first": "critical one",
        "after the claim": "warning one",
        "typed": "rj?",
        "went to": "/incidents/",
        "is on": False,
        "stays at": "/incidents/",
        "nothing": "",
    }
    claimed = Incident.objects.filter(assignee=person).values_list("title", flat=True)
    assert list(claimed) == ["warning one"]
    assert not Incident.objects.filter(status="resolved").exists()
