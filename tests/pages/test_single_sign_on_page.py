"""Single sign-on in Chromium: works with the policy that limits where forms lead."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser

from registry.models import User
from tests.factories import UserFactory
from tests.identity_process import MAIL, Control
from tests.pages.walk import REPORT_VIOLATIONS, TIMEOUT_MS, Tab, in_chromium

pytestmark = pytest.mark.browser


def test_the_button_leads_to_the_provider_and_back(
    provider: Control, address: str
) -> None:
    UserFactory(username="olive@acme", email=MAIL)

    async def sign_in(browser: Browser) -> Any:
        context = await browser.new_context()
        await context.add_init_script(REPORT_VIOLATIONS)
        tab = await Tab.new(context)
        page = tab.page
        await tab.open(f"{address}/accounts/login/?next=/keys/")
        await page.get_by_role("button", name="Sign in with Acme Login").click()
        await page.wait_for_url(f"{address}/keys/", timeout=TIMEOUT_MS)
        text = await page.get_by_text("Signed in as").first.text_content()
        return text, tab.faults

    text, faults = in_chromium(sign_in)

    assert "olive@acme" in text
    assert faults == []
    assert User.objects.get().last_login is not None
