"""The whole loop in the browser, on the real platform: search, change, verify."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.stack.test_contract_loop import REFERENCE_QUERY
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser]

ANSWERING = 'region:"East China" AND connectivity:online AND product:sensor-s1'
SLOW = 60_000  # ms: waves, sweeps and simulated devices need time


@pytest.fixture
def operator(page: Page, platform_stack: Any) -> Page:
    """A page on which ``operator@acme`` has signed in."""
    page.goto(platform_stack.url)
    page.get_by_label("Name", exact=False).first.fill("operator@acme")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/queue/"))
    page.goto(f"{platform_stack.url}/fleet/")
    return page


def search(page: Page, query: str) -> None:
    page.get_by_label("Query", exact=True).fill(query)
    page.get_by_role("button", name="Search").click()


def search_until_found(page: Page, query: str) -> None:
    """Repeat the search: the index may be a moment behind."""

    def found() -> bool:
        search(page, query)
        heading = page.get_by_role("heading", level=1)
        expect(heading).to_have_text(re.compile(r"^\d+ devices? match"))
        return not heading.inner_text().startswith("0 ")

    wait_until(found, seconds=SLOW / 1_000, what=f"devices that match {query}")


def test_from_the_question_to_a_verified_configuration(operator: Page) -> None:
    page = operator
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))

    search_until_found(page, REFERENCE_QUERY)
    page.get_by_text("Save as cohort").first.click()
    page.get_by_label("Cohort name").fill("Unstable in East China")
    page.get_by_role("button", name="Save cohort").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Unstable")

    page.goto(page.url.split("/cohorts/")[0] + "/fleet/")
    # Without the devices of other tests, which are not simulated.
    search(page, f"{ANSWERING} AND tag:simulated")
    page.get_by_label("select all").check()
    page.locator("#send").click()
    page.get_by_role("radio", name="set_config").check()
    page.get_by_label("Interval, seconds").fill("45")
    page.get_by_role("button", name="Check devices and risk").click()
    expect(page.get_by_text("Devices per site")).to_be_visible()
    page.get_by_role("button", name="Plan the waves").click()
    page.get_by_label("Wait between waves, seconds").fill("1")
    page.get_by_role("button", name="Review").click()
    page.get_by_label("Job name").fill("Interval 45 s")
    page.get_by_role("button", name=re.compile("^Send to")).click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Interval 45 s")
    start = page.get_by_role("button", name="Start")
    if start.count():
        start.click()
    verified = page.locator("#members").get_by_text("verified").first
    expect(verified).to_be_visible(timeout=SLOW)

    page.locator("#members a.uid").first.click()
    expect(page.get_by_text("Interval 45 s").first).to_be_visible()
    expect(page.get_by_text("set_config").first).to_be_visible()
    assert errors == []


def test_an_invalid_query_shows_the_place_and_suggests_a_field(
    operator: Page,
) -> None:
    search(operator, "firmwar:1.4.*")

    message = operator.locator("#query-error")
    expect(message).to_contain_text("firmwar")
    expect(message.get_by_role("link")).to_contain_text("firmware")


def test_the_search_works_with_the_keyboard_alone(operator: Page) -> None:
    operator.keyboard.press("Tab")
    expect(operator.get_by_text("Skip to")).to_be_focused()

    operator.get_by_label("Query", exact=True).focus()
    operator.keyboard.type("firmware:1.4.*")
    operator.keyboard.press("Enter")

    expect(operator.get_by_role("heading", level=1)).to_have_text(
        re.compile(r"^\d+ devices? match")
    )
