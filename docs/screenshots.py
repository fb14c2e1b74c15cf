"""Take the README's pictures of a running console: python docs/screenshots.py URL.

Needs a platform with a fresh demo fleet (make demo) and Chromium. Writes docs/fleet.png
and docs/job.png.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

FOLDER = Path(__file__).parent
QUERY = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'
SIZE: ViewportSize = {"width": 1440, "height": 900}
PATIENCE_MS = 180_000  # for a canary and the wait after it


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/queue/")
    page.goto(f"{url}/fleet/")
    page.get_by_role("heading", name="devices match").wait_for()


def show_fleet(page: Page) -> None:
    """Search, sort by disconnects, and select the first two devices."""
    page.get_by_label("Query", exact=True).fill(QUERY)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Disc. 72 h").click()
    page.get_by_role("columnheader", name="Disc. 72 h").wait_for()
    for row in (0, 1):
        page.locator("input.pick").nth(row).check()
    page.evaluate("document.activeElement.blur()")


def show_job(page: Page) -> None:
    """Send the tour's configuration, and wait until some devices confirm it."""
    page.get_by_label("select all").check()
    page.locator("#send").click()
    page.get_by_role("radio", name="set_config").check()
    page.get_by_label("Interval, seconds").fill("30")
    page.get_by_role("button", name="Check devices and risk").click()
    page.get_by_role("button", name="Plan the waves").click()
    page.get_by_label("Canary devices").fill("2")
    page.get_by_label("Devices per wave").fill("6")
    page.get_by_role("button", name="Review").click()
    page.get_by_label("Job name").fill("Report every 30 seconds")
    page.get_by_role("button", name="Send to").click()
    verified = page.locator("#members").get_by_text("verified")
    verified.nth(3).wait_for(timeout=PATIENCE_MS)


def main() -> None:
    """Sign in, run the README's query, take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the console is, http://127.0.0.1:8000")
    parser.add_argument("--login", default="operator@acme")
    parser.add_argument("--password", default="demo")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--to", type=Path, default=FOLDER, help="a folder")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("Chromium is not installed (Debian: apt-get install chromium).")
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=sandbox)
        page = browser.new_page(
            viewport=SIZE, color_scheme="dark" if options.dark else "light"
        )
        sign_in(page, options.url.rstrip("/"), options.login, options.password)
        for name, show in (("fleet", show_fleet), ("job", show_job)):
            show(page)
            page.screenshot(path=options.to / f"{name}.png")
            print(f"written: {options.to / name}.png")
        browser.close()


if __name__ == "__main__":
    main()
