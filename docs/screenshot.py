"""Take the README's screenshot of a running console: python docs/screenshot.py URL.

Needs a platform with the demo fleet (make demo) and Chromium; writes docs/fleet.png.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

PICTURE = Path(__file__).with_name("fleet.png")
QUERY = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'
SIZE: ViewportSize = {"width": 1440, "height": 860}


def sign_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}/accounts/login/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("heading", name="devices match").wait_for()


def search(page: Page, query: str) -> None:
    """Search, sort by disconnects, and select the first two devices."""
    page.get_by_label("Query", exact=True).fill(query)
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Disc. 72 h").click()
    page.get_by_role("columnheader", name="Disc. 72 h").wait_for()
    for row in (0, 1):
        page.locator("input.pick").nth(row).check()
    page.evaluate("document.activeElement.blur()")


def main() -> None:
    """Sign in, run the README's query, take the screenshot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="where the console is, http://127.0.0.1:8000")
    parser.add_argument("--login", default="operator@acme")
    parser.add_argument("--password", default="demo")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--to", type=Path, default=PICTURE)
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
        search(page, QUERY)
        page.screenshot(path=options.to)
        browser.close()
    print(f"written: {options.to}")


if __name__ == "__main__":
    main()
