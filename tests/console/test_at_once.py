"""Of two people who act at once one wins; the other one is refused, and learns who."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from console.models import AttentionItem
from console.selectors.work_items import WorkItem, get_work_item
from console.services.incidents.actions import assign_incident
from console.services.work_items import claim_item, close_item
from fleet.models import Cohort, CohortCall
from iotplatform.common.problems import Conflict
from registry.models import Tenant, User
from tests.common.test_simultaneous_changes import both_wait, held_back
from tests.console.incidents import make_incident
from tests.factories import MembershipFactory, TenantFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)


def assign_to_oneself(item: WorkItem, *, by: User) -> None:
    assert item.incident is not None
    assign_incident(item.incident, by=by, to=by)


def make_call(tenant: Tenant) -> CohortCall:
    cohort = Cohort.objects.create(tenant=tenant, name="Cold", query="tag:cold")
    about = {"tenant": tenant, "cohort": cohort, "kind": "entered", "uid": "d-1"}
    return CohortCall.objects.create(**about, opened_at=timezone.now())


def make_attention(tenant: Tenant) -> AttentionItem:
    return AttentionItem.objects.create(
        tenant=tenant,
        kind="escalated",
        object_kind="command",
        object_id=uuid4(),
        object_name="reboot",
        score=50,
        opened_at=timezone.now(),
    )


ACTS = [
    *((make_incident, act) for act in (claim_item, close_item, assign_to_oneself)),
    *((make_attention, act) for act in (claim_item, close_item)),
    *((make_call, act) for act in (claim_item, close_item)),
]


@pytest.mark.parametrize(("make", "act"), ACTS)
def test_of_two_at_once_one_wins_and_the_other_learns_who(
    make: Callable[[Tenant], Any], act: Callable[..., Any]
) -> None:
    tenant = TenantFactory.create()
    row = make(tenant)
    people = [MembershipFactory.create(tenant=tenant).user for _ in range(2)]
    item = get_work_item(tenants=[tenant], public_id=row.public_id)

    def do(person: User) -> str:
        try:
            act(item, by=person)
        except Conflict as refusal:
            return refusal.detail
        finally:
            connection.close()
        return ""

    with ThreadPoolExecutor(2) as threads, held_back(row._meta.db_table) as holder:
        said = [threads.submit(do, person) for person in people]
        wait_until(lambda: both_wait(holder), what="both at the row")
        holder.rollback()
        details = [each.result() for each in said]

    row.refresh_from_db()
    [winner] = [p for p, text in zip(people, details, strict=True) if not text]
    [told] = filter(None, details)
    assert winner.username in told
    if act is not close_item:
        assert row.assignee == winner
