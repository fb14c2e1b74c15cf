"""A file of devices uploaded in the admin: a worker imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.stack, pytest.mark.browser]

SLOW = 30_000  # ms: without a notification, a worker checks every ten seconds


def upload(page: Page, url: str, file: Path) -> None:
    """Fill in the admin's form and save it."""
    page.goto(f"{url}/admin/registry/device/")
    page.get_by_role("link", name="Import devices").click()
    page.locator(".field-tenant .select2-selection").click()
    page.get_by_role("option", name="acme").click()
    page.locator("input[name=file]").set_input_files(file)
    page.locator("input[name=_save]").click()


def test_a_file_uploaded_in_the_admin_is_imported_or_refused_with_the_line(
    page: Page, platform_stack: Any, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("uid,site,product\nimp-1,shanghai-01,sensor-s1\n")
    bad.write_text(
        "uid,site,product\nimp-2,shanghai-01,sensor-s1\nimp-3,nowhere,sensor-s1\n"
    )
    page.goto(f"{platform_stack.url}/admin/")
    page.get_by_label("Name", exact=False).first.fill("admin")
    page.get_by_label("Password").fill("admin")
    page.get_by_role("button", name="Sign in").click()

    upload(page, platform_stack.url, good)
    expect(page.get_by_text("done", exact=True).first).to_be_visible(timeout=SLOW)
    upload(page, platform_stack.url, bad)
    expect(page.get_by_text("refused", exact=True).first).to_be_visible(timeout=SLOW)

    expect(page.get_by_text("nowhere").first).to_be_visible()
    page.goto(f"{platform_stack.url}/admin/registry/device/?q=imp-")
    expect(page.get_by_role("link", name="imp-1")).to_be_visible()
    expect(page.get_by_text("1 device", exact=True)).to_be_visible()
