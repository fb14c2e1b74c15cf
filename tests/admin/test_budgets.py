"""Query budgets of admin pages: small, and the same for one row and for thirty."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from commands.models import Command, CommandEvent
from registry.admin.shared.filters import FEW as LINKS
from registry.admin.shared.large_lists import INLINE_ROWS
from registry.models import Device
from tests.admin.conftest import Measured
from tests.admin.pages import MODELS, open_page, url_of
from tests.admin.rows import make_world
from tests.factories import DeviceFactory, TenantFactory, UserFactory

# Session, person, rights, the page's rows and their related rows. The first is behind
# the tenant stamp, and was not counted until that was seen.
MOST = {"list": 9, "search": 9, "add": 9, "change": 13, "history": 9, "delete": 9}
FEW = 26  # links of a filter, or options of a select, that a person reads through
COUNTS = re.compile(r"SELECT COUNT\((?!.*LIMIT \d+\) subquery)")


def kind_of(name: str) -> str:
    return name.split()[0]


def test_every_page_opens(measured: Measured) -> None:
    assert {
        name: many.status for name, (_, many) in measured.items() if many.status != 200
    } == {}


def test_no_page_costs_more_for_more_rows(
    measured: Measured, counted: Counter[str]
) -> None:
    counted["pages of the admin held to a budget"] += len(measured)

    assert {
        name: (few.cost, many.cost)
        for name, (few, many) in measured.items()
        if few.cost != many.cost
    } == {}


def test_no_page_costs_more_than_its_budget(measured: Measured) -> None:
    assert {
        name: many.queries
        for name, (_, many) in measured.items()
        if many.cost > MOST[kind_of(name)]
    } == {}


def test_no_list_counts_a_whole_table(measured: Measured) -> None:
    assert {
        name: sql
        for name, (_, many) in measured.items()
        for sql in many.queries
        if COUNTS.search(sql)
    } == {}


def test_no_select_offers_a_whole_table(measured: Measured) -> None:
    assert {
        (name, select.name): select.options
        for name, (_, many) in measured.items()
        for select in many.selects
        if select.options > FEW and not select.searches
    } == {}


def test_the_search_of_a_field_costs_the_same_for_more_rows(
    measured: Measured, client: Client
) -> None:
    client.force_login(UserFactory(is_superuser=True))
    searches = {
        select.searches
        for _, many in measured.values()
        for select in many.selects
        if select.searches
    }

    wrong = {}
    for url in sorted(searches):
        for term in ("", "x"):
            opened = open_page(client, f"{url}&term={term}")
            if opened.status != 200 or opened.cost > MOST["search"]:
                wrong[url, term] = opened.status, opened.queries

    assert len(searches) > 10
    assert wrong == {}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_filters_offer_few_values_and_each_opens(
    measured: Measured, client: Client, model: Any
) -> None:
    client.force_login(UserFactory(is_superuser=True))
    label = model._meta.label
    changelist = measured[f"list of {label}"][1].answer.context["cl"]

    for spec in changelist.filter_specs:
        offered = list(spec.choices(changelist))
        assert len(offered) <= FEW, spec.title
        for choice in offered:
            query = choice.get("query_string", f"?{choice.get('name')}=x")
            opened = open_page(client, url_of(model, "changelist") + query)
            assert opened.status == 200, query
            assert opened.cost <= MOST["list"], opened.queries


def test_an_inline_shows_the_last_of_many(db: None, client: Client) -> None:
    client.force_login(UserFactory(is_superuser=True))
    world = make_world()
    command = world.made[Command]
    about = {"tenant": world.tenant, "command": command, "device": command.device}
    CommandEvent.objects.bulk_create(
        CommandEvent(
            **about,
            at=command.created_at + timedelta(hours=1),
            status="queued",
            cause=f"cause {number:03}",
        )
        for number in range(INLINE_ROWS + 50)
    )

    text = open_page(client, url_of(Command, "change", command.pk)).text

    shown = set(re.findall(r"cause \d{3}", text))
    assert len(shown) == INLINE_ROWS
    assert max(shown) == f"cause {INLINE_ROWS + 49:03}"


def test_a_filter_by_tenant_is_links_while_tenants_are_few(
    db: None, client: Client
) -> None:
    client.force_login(UserFactory(is_superuser=True))
    near, far = DeviceFactory(tenant__slug="near"), DeviceFactory(tenant__slug="far")
    url = url_of(Device, "changelist")

    few = client.get(url, {"tenant": "near", "lifecycle__exact": "active"})
    TenantFactory.create_batch(LINKS)
    many = client.get(url, {"tenant": "near", "lifecycle__exact": "active"})

    for page in (few, many):
        assert near.uid in page.content.decode()
        assert far.uid not in page.content.decode()
    assert "?lifecycle__exact=active&amp;tenant=far" in few.content.decode()
    assert '<input type="text" name="tenant" value="near"' in many.content.decode()
    kept = '<input type="hidden" name="lifecycle__exact" value="active">'
    assert kept in many.content.decode()
