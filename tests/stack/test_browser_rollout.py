"""A rollout of a bad firmware in the browser, by keys alone: stopped, rolled back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from iotplatform.simulator.targets import Target
from tests.stack.clients import Api
from tests.stack.ledger import simulated
from tests.stack.test_contract_loop import new_device, search_uids
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser]

MOST_KEYS = 40
DEVICES, CANARIES = 24, 12
OLD = "1.4.2"
STEP = ".stages [aria-current=step]"
REFUSING = "low_battery"  # a simulated device that refuses every update
SLOW = PATIENCE * 1_000  # ms


class Keyboard:
    """Uses a page by keys alone, and counts them; typed text does not count."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.pressed = 0

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed += 1

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def open(self, *keys: str, heading: str = "", step: str = "") -> None:
        """Press keys; the last one opens a page with this heading or step."""
        self.press(*keys)
        place = STEP if step else "h1"
        text = re.compile(step or heading)
        expect(self.page.locator(place)).to_have_text(text, timeout=SLOW)
        self.page.wait_for_load_state()  # from then on it hears keys


@pytest.fixture
def sign_in(browser: Browser, platform_stack: Any) -> Iterator[Callable[[str], Page]]:
    """Signs a person of acme in, and returns their page; it closes with the test."""
    contexts = []

    def arrive(name: str) -> Page:
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        page.goto(platform_stack.url)
        page.get_by_label("Name", exact=False).first.fill(f"{name}@acme")
        page.get_by_label("Password").fill("demo")
        page.get_by_role("button", name="Sign in").click()
        expect(page).to_have_url(re.compile("/queue/"))
        page.wait_for_load_state()
        return page

    yield arrive
    for context in contexts:
        context.close()


@pytest.fixture
def tag(platform_stack: Any, tmp_path: Path) -> Iterator[str]:
    """The tag of a running fleet, of which two of three devices refuse updates."""
    api = Api.sign_in(platform_stack.url, "manager@acme", "demo")
    tag = f"rollout-{uuid4().hex[:6]}"
    # A place of their own: when they leave, no other test's site is in trouble.
    made = api.post("/api/v1/sites/", {"slug": tag, "name": f"Site of {tag}"})
    assert made.status == 201, made
    targets = []
    for number in range(DEVICES):
        device = new_device(api, platform_stack, site=tag, tags=[tag])
        profile = REFUSING if number % 3 else None
        targets.append(
            Target(device.uid, secret=device.secret, profile=profile, firmware=OLD)
        )
    port = platform_stack.mqtt_port
    with simulated(targets, port=port, folder=tmp_path, seed=7, profile="healthy"):
        query = f"tag:{tag} AND connectivity:online AND firmware:{OLD}"
        wait_until(
            lambda: len(search_uids(api, query)) == DEVICES,
            what="the fleet is online",
        )
        yield tag


def test_a_bad_firmware_is_stopped_and_rolled_back_by_keys_alone(
    platform_stack: Any,
    sign_in: Callable[[str], Page],
    tag: str,
    counted: Counter[str],
) -> None:
    page = sign_in("operator")
    keys = Keyboard(page)
    new = f"2.0.{int(tag[-6:], 16)}"

    # Search, and save the search as a cohort.
    keys.open("g", "f", heading="device")
    keys.press("/")
    keys.type(f"tag:{tag}")
    keys.open("Enter", heading=f"^{DEVICES} devices match")
    keys.press("s")
    keys.type(f"Cohort {tag}")
    keys.open("Enter", heading=tag)
    # A job for the cohort: command, scope and risk, waves.
    keys.open("n", step="Command")
    keys.press("ArrowDown", "Tab")  # update_firmware, and its version
    keys.type(new)
    keys.open("Enter", step="Devices and risk")
    expect(page.get_by_text("Devices per site")).to_be_visible()
    keys.open("n", step="Waves")
    keys.press("Control+A")
    keys.type(str(CANARIES))
    # No share of failures stops or pauses it: only the health gate does.
    keys.press(*["Tab"] * 8)
    keys.type("100")
    keys.press("Tab")
    keys.type("0")
    keys.press(*["Tab"] * 2)
    keys.type("command failures")  # what the health gate compares
    keys.press(*["Tab"] * 7, "Space")  # a second person must approve it
    keys.open("n", step="Confirm")
    keys.press("Control+A")
    keys.type(f"Firmware {tag}")
    keys.press("Tab")
    keys.type(str(DEVICES))  # as the page asks for
    keys.open("Enter", heading=f"Firmware {tag}")

    approver = sign_in("approver")
    approver.goto(page.url)
    expect(approver.get_by_role("button", name="Approve")).to_be_visible()
    approver.keyboard.press("n")
    expect(page.get_by_role("button", name="Start")).to_be_visible(timeout=SLOW)
    keys.press("n")
    progress = page.locator("#progress")
    expect(progress).to_contain_text("Stopped automatically", timeout=SLOW)
    expect(progress.locator("#job-reason")).to_contain_text("The health gate:")
    expect(progress.locator("#job-gate")).to_contain_text("breached")
    expect(progress.get_by_role("row", name=re.compile("^rejected"))).to_be_visible()
    viewer = sign_in("viewer")
    viewer.goto(page.url)
    expect(viewer.locator("#progress")).to_contain_text("Stopped automatically")
    assert viewer.locator("main").get_by_role("button").all_inner_texts() == []

    keys.press("b")
    keys.type("Most of the canaries refuse it")
    keys.press("Tab", "Enter")
    restoring = progress.get_by_role("link", name="the job that restores its members")
    restoring.wait_for(timeout=SLOW)

    counted["keys from the search to the rollback of a firmware"] += keys.pressed
    assert keys.pressed <= MOST_KEYS
    page.goto(platform_stack.url + str(restoring.get_attribute("href")))
    state = page.locator("#progress")
    expect(state).to_contain_text("completed", timeout=SLOW)
    expect(state.locator("#members").get_by_text("verified").first).to_be_visible()
    api = Api.sign_in(platform_stack.url, "operator@acme", "demo")
    as_before = f"tag:{tag} AND firmware:{OLD}"
    wait_until(
        lambda: len(search_uids(api, as_before)) == DEVICES,
        what="every device has its firmware of before",
    )
