"""The platform and the browser that the tests of this folder share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from iotplatform.local.setup.test_packages import find_browser
from tests.conftest import CHROMIUM_OPTIONS, need_mosquitto
from tests.platform_process import Platform

STACK_DEVICES = "30"


@pytest.fixture(scope="package")
def started_platform() -> Iterator[Platform]:
    """The whole platform with a small demo fleet, on free ports, loaded and indexed."""
    need_mosquitto()
    platform = Platform()
    try:
        platform.start("--demo", "--devices", STACK_DEVICES)
        platform.wait_for("/readyz")
        yield platform
        assert platform.stop() == 0, platform.terminal
    finally:
        platform.discard()


@pytest.fixture
def platform_stack(started_platform: Platform) -> Platform:
    """The same, ready again if the test before killed a part of it."""
    started_platform.wait_for("/readyz")
    return started_platform


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """The machine's Chromium: Playwright's own is not fetched.

    It ends with this folder's tests: its driver has an event loop running in this
    thread, in which Django asks no database.
    """
    path = find_browser()
    assert path is not None  # or the test had been skipped
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        options = [*CHROMIUM_OPTIONS, *sandbox]
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of somebody who has not been here before."""
    context = browser.new_context()
    yield context.new_page()
    context.close()
