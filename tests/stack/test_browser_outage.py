"""The outage of a site in the browser: from the queue to its figures in the report."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from iotplatform.simulator.scenes.ask import ask_for_scene
from iotplatform.simulator.scenes.choice import SITE_OUTAGE, Choice
from iotplatform.simulator.scenes.stage import request_path
from iotplatform.simulator.targets import Target
from tests.stack.clients import Api
from tests.stack.ledger import simulated
from tests.stack.test_contract_loop import new_device, search_uids
from tests.waiting import PATIENCE, wait_until

pytestmark = [pytest.mark.stack, pytest.mark.browser]

DEVICES = 6
SLOW = PATIENCE * 1_000  # ms: the sweep waits, and days are counted once a minute

# Once the incident is over: a day that is counted later has all of it.
ITS_DAY = """
    SELECT 1 FROM console_sladay r JOIN registry_site s ON s.id = r.site_id
    JOIN console_incident i ON i.object_id = s.slug AND r.until > i.resolved_at
    WHERE s.slug = %s AND r.site_itself > 0
"""


@pytest.fixture
def api(platform_stack: Any) -> Api:
    return Api.sign_in(platform_stack.url, "manager@acme", "demo")


@pytest.fixture
def site(platform_stack: Any, api: Api, tmp_path: Path) -> Iterator[str]:
    """A site of simulated devices, all online; a scene in ``tmp_path`` is theirs."""
    slug = f"outage-{uuid4().hex[:6]}"
    made = api.post("/api/v1/sites/", {"slug": slug, "name": f"Hall {slug}"})
    assert made.status == 201, made
    devices = [new_device(api, platform_stack, site=slug) for _ in range(DEVICES)]
    targets = [Target(each.uid, secret=each.secret) for each in devices]
    port = platform_stack.mqtt_port
    with simulated(targets, port=port, folder=tmp_path, seed=3, profile="healthy"):
        wait_until(lambda: len(online(api, slug)) == DEVICES, what="the site is online")
        yield slug


@pytest.fixture
def policy(api: Api) -> None:
    """Times in which incidents are to be acknowledged and resolved."""
    for severity in ("critical", "warning"):
        times = {"acknowledge_minutes": 15, "resolve_minutes": 240}
        made = api.post("/api/v1/sla-policies/", {"severity": severity, **times})
        assert made.status in (201, 409), made


def report_of(api: Api, slug: str) -> Any:
    """Return the site's line of the SLA report; nothing while no minute is lost."""
    answer = api.get(f"/api/v1/reports/sla/?site={slug}")
    return [line for line in answer.body["results"] if line["lost_minutes"]["site"]]


def online(api: Api, slug: str) -> list[str]:
    return search_uids(api, f"site:{slug} AND connectivity:online")


def reload_until(page: Page, shown: Locator) -> None:
    """Reload until it is there: these pages do not change by themselves."""

    def is_there() -> bool:
        page.reload()
        page.locator("h1").wait_for()
        return shown.count() > 0

    wait_until(is_there, what=f"{shown} on {page.url}", every=0.5)


def test_an_outage_of_a_site_from_the_queue_to_its_lost_minutes(
    platform_stack: Any,
    page: Page,
    api: Api,
    site: str,
    policy: None,
    tmp_path: Path,
    counted: Counter[str],
) -> None:
    page.goto(platform_stack.url)
    page.get_by_label("Name", exact=False).first.fill("operator@acme")
    page.get_by_label("Password").fill("demo")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/queue/"))

    # The site is lost: one line in the queue, which the operator claims.
    began = monotonic()
    lost = Choice(tuple(online(api, site)), "")
    ask_for_scene(SITE_OUTAGE, lost, folder=tmp_path, minutes=5)
    line = page.locator("tr[data-item]").filter(has_text=f"Hall {site}")
    reload_until(page, line)
    counted["seconds from the outage of a site to the queue"] += int(
        monotonic() - began
    )
    expect(line).to_have_count(1)
    line.get_by_role("button", name="Claim").click()
    expect(page.get_by_text("is yours")).to_be_visible()
    line.get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Hall {site}")
    incident = page.url
    expect(page.locator("#incident-facts")).to_contain_text("you")
    expect(page.locator("#advice")).to_contain_text("site")
    note = f"I have called the janitor of {site}."
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Save note").click()
    timeline = page.locator("#incident-timeline")
    expect(timeline).to_contain_text(note)

    # The built-in playbook asks; its answer, and a wait that a person ends.
    page.get_by_role("link", name="Playbooks").last.click()
    page.get_by_role("link", name="Site outage").first.click()
    page.get_by_label("Devices that match").fill(f"site:{site}")
    page.get_by_role("button", name="Start the run").click()
    page.get_by_role("button", name="No power").click(timeout=SLOW)
    skip = page.get_by_role("button", name="Skip step 2")
    expect(skip).to_be_visible(timeout=SLOW)
    request_path(tmp_path).unlink()  # the power is back
    wait_until(lambda: len(online(api, site)) == DEVICES, what="the site is back")
    skip.click()
    expect(page.locator("#run-line")).to_contain_text("completed", timeout=SLOW)
    for uid in lost.uids:
        row = page.locator(f"#device-{uid}")
        expect(row).to_contain_text("No power")
        expect(row).to_contain_text("note: succeeded")

    # The incident has closed by itself, and the report has what it took.
    page.goto(incident)
    reload_until(page, timeline.get_by_text("the cause is gone"))
    expect(page.locator("#incident-facts")).to_contain_text("resolved")
    expect(timeline).to_contain_text(note)

    [answer] = wait_until(lambda: report_of(api, site), what="its lost minutes")
    assert answer["lost_minutes"]["site"] > 0
    incidents = answer["incidents"]
    assert (incidents["count"], incidents["resolved_in_time"]) == (1, 1)
    # No page before that: it keeps its figures for a minute.
    wait_until(lambda: platform_stack.sql(ITS_DAY, [site], role="iot_platform"))
    page.goto(f"{platform_stack.url}/reports/sla/?days=1")
    rows = page.get_by_role("row").filter(has_text=site)
    expect(rows.first).to_contain_text(re.compile(r"1 of 1\s*1 of 1"))
    minutes = rows.last.locator("td[data-label=site]")
    expect(minutes).to_have_text(re.compile(r"^[1-9]\d*\.\d$|^0\.[1-9]$"))
