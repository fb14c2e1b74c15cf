"""Two people in two browsers act on one incident at once: one wins, both see who."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page

from console.models import Incident, IncidentEvent
from registry.choices import Role
from registry.models import User
from tests.console.incidents import make_incident
from tests.factories import MembershipFactory, TenantFactory, UserFactory
from tests.pages.walk import in_chromium
from tests.pages.world import session_of

pytestmark = pytest.mark.browser
Act = Callable[[Page, str], Awaitable[None]]  # as the person of this name


async def claim(page: Page, me: str) -> None:
    await page.get_by_role("button", name="Claim: the one to claim").click()


async def resolve(page: Page, me: str) -> None:
    await page.get_by_role("button", name="Resolve: the one to resolve").click()


async def assign(page: Page, me: str) -> None:
    await page.get_by_role("button", name="Assign", exact=True).click()


async def open_to_assign(page: Page, me: str) -> None:
    await page.get_by_role("link", name="the one to assign").click()
    await page.get_by_text("Assign, snooze, merge").click()
    await page.get_by_label("Assign to").fill(me)


async def nothing(page: Page, me: str) -> None:
    return None


# What they do → how they come to the button, and how they press it.
ACTS: dict[str, tuple[Act, Act]] = {
    "claim": (nothing, claim),
    "resolve": (nothing, resolve),
    "assign": (open_to_assign, assign),
}


@pytest.fixture
def people(transactional_db: None) -> list[User]:
    """Two people of a tenant that has an open incident for each action."""
    tenant = TenantFactory.create()
    people = [UserFactory.create(username=name) for name in ("anna", "ben")]
    for person in people:
        MembershipFactory.create(tenant=tenant, user=person, role=Role.OPERATOR)
        person.set_unusable_password()
        person.save()
    for action in ACTS:
        make_incident(tenant, object_id=action, title=f"the one to {action}")
    return people


async def context_of(
    browser: Browser, address: str, cookie: str, name: str
) -> tuple[str, BrowserContext]:
    context = await browser.new_context()
    session = {"name": "sessionid", "value": cookie, "url": address}
    await context.add_cookies([session])  # type: ignore[list-item]
    return name, context


def test_of_two_browsers_at_once_one_wins_and_the_other_sees_who(
    people: list[User], address: str
) -> None:
    cookies = [(session_of(person), person.username) for person in people]
    told: dict[str, dict[str, str]] = {}

    async def race(browser: Browser) -> None:
        contexts = [await context_of(browser, address, *each) for each in cookies]
        for action, (come, press) in ACTS.items():
            pages = [(name, await context.new_page()) for name, context in contexts]
            for name, page in pages:
                await page.goto(f"{address}/queue/")
                await come(page, name)
            await asyncio.gather(*(press(page, name) for name, page in pages))
            told[action] = {}
            for name, page in pages:
                said = page.locator(".note, .undo").first
                told[action][name] = await said.inner_text()

    in_chromium(race)

    kinds = {"claim": "claimed", "resolve": "resolved", "assign": "assigned"}
    for number, (action, kind) in enumerate(kinds.items(), start=1):
        incident = Incident.objects.get(object_id=action)
        event = IncidentEvent.objects.get(incident=incident, actor__isnull=False)
        winner: Any = event.actor
        loser = next(person for person in people if person != winner)
        assert (event.kind, incident.resolved_at is not None) == (
            kind,
            action == "resolve",
        )
        assert f"#{number} is" in told[action][winner.username]
        assert winner.username in told[action][loser.username]
        assert incident.assignee == (None if action == "resolve" else winner)
