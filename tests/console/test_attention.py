"""What needs a person comes through the inbox into the queue, and leaves by itself."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from commands.choices import CommandStatus, WaitsFor
from commands.models import Command
from commands.services.actions import cancel_command, escalate_command, retry_command
from commands.services.jobs import pause_job, resume_job, start_job
from commands.services.transitions import Moves, lock_commands
from console.models import AttentionItem
from console.services.attention import (
    forget_items_across_tenants,
    take_attention_across_tenants,
)
from console.tasks import keep_history, take_attention
from fleet.models import Cohort, CohortCall
from registry.choices import Role
from registry.models import MembershipLimit, Tenant
from state.choices import AttentionKind, AttentionObject
from state.models import AttentionEntry
from state.services.attention import Attention, ask_for_attention
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, fresh, now, online_unit, sweep
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db
ITEMS = "/api/v1/work-items/"
LATER = timedelta(minutes=30)


def client_of(
    tenant: Tenant, role: Role = Role.OPERATOR, *, at: Any = None
) -> APIClient:
    member = MembershipFactory.create(tenant=tenant, role=role)
    if at is not None:
        MembershipLimit.objects.create(membership=member, tenant=tenant, site=at)
    client = APIClient()
    client.force_authenticate(member.user)
    return client


def unknown_outcome(unit: Unit) -> Command:
    """Return a command that the device received and never answered."""
    command = ask(unit)
    deliver()
    unit.acknowledge(command)
    sweep(now() + LATER)
    return fresh(command)


def open_titles(kind: str = "command") -> list[str]:
    take_attention()
    rows = AttentionItem.objects.filter(closed_at=None, kind=kind).order_by("pk")
    return [row.title for row in rows]


def test_an_unknown_outcome_needs_a_person_until_the_device_answers() -> None:
    unit = online_unit(uid="d-1")
    command = unknown_outcome(unit)
    assert open_titles() == [
        "reboot on d-1: unknown: the device received it, but reported no result"
    ]
    assert take_attention_across_tenants() == 0

    unit.result(command)

    assert open_titles() == []
    item = AttentionItem.objects.get()
    assert (item.closed_by, item.closed_at is None) == (None, False)


def test_a_late_failure_is_the_end_of_one_episode_and_the_begin_of_another() -> None:
    unit = online_unit(uid="d-1")
    escalates = {"execution_failed": "escalate", "no_ack": "escalate"}
    command = ask(unit, attempts=1, on_failure=escalates)
    deliver()
    sweep(now() + LATER)
    assert open_titles() == ["reboot on d-1: timed out: no acknowledgement in time"]

    unit.result(command, "failed", code="E7")

    assert open_titles() == ["reboot on d-1: execution failed: E7"]
    assert AttentionItem.objects.count() == 2


@pytest.mark.parametrize("ended_by", ["platform", "device"])
def test_a_retry_by_a_person_closes_the_item(ended_by: str) -> None:
    unit = online_unit()
    failures = {"no_ack": "escalate", "rejected": "escalate"}
    command = ask(unit, attempts=1, on_failure=failures)
    deliver()
    if ended_by == "device":
        unit.acknowledge(command, "rejected", reason="busy")
    else:
        sweep(now() + LATER)
        unit.come_online()
    assert len(open_titles()) == 1

    retry_command(command=fresh(command), actor=None, reason="again")

    assert open_titles() == []


def test_an_escalated_command_is_over_once_it_is_cancelled() -> None:
    unit = online_unit(uid="d-1")
    command = ask(unit)
    escalate_command(command=command, actor=None, reason="look at the relay")
    escalate_command(command=fresh(command), actor=None, reason="really")
    deliver()

    assert open_titles() == ["reboot on d-1: look at the relay"]
    cancel_command(command=fresh(command), actor=None, reason="no")
    assert open_titles() == []


def test_a_command_that_waits_for_an_approval_asks_for_it_until_it_is_given() -> None:
    command = ask(online_unit(uid="d-1"))
    for status, waits_for in (("held", "approval"), ("queued", "")):
        moves = Moves(now=now())
        locked = lock_commands([command.pk])[command.pk]
        moves.move(
            locked,
            CommandStatus(status),
            cause="approval",
            due_at=now(),
            waits_for=WaitsFor(waits_for),
        )
        moves.write()
        asked = open_titles("approval")
        wanted = ["reboot on d-1: it waits for the approval of a second person"]
        assert asked == (wanted if waits_for else [])
    assert AttentionItem.objects.get().due_at is not None


def test_what_is_over_before_anybody_could_see_it_is_no_work() -> None:
    unit = online_unit()
    command = unknown_outcome(unit)
    unit.result(command)

    take_attention()

    assert not AttentionItem.objects.exists()
    assert AttentionEntry.objects.get().is_taken


def test_an_acknowledged_command_that_ends_well_writes_nothing() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    with CaptureQueriesContext(connection) as captured:
        unit.result(command)

    assert not any("attention" in query["sql"] for query in captured.captured_queries)
    assert not AttentionEntry.objects.exists()


def test_a_batch_of_troubles_costs_no_query_a_device() -> None:
    costs = []
    for count in (2, 12):
        for unit in fleet_of(count):
            command = ask(unit)
            deliver()
            unit.acknowledge(command)
        with CaptureQueriesContext(connection) as swept:
            sweep(now() + LATER)
        with CaptureQueriesContext(connection) as taken:
            take_attention()
        costs.append((len(swept), len(taken)))

    assert costs[0] == costs[1]
    assert AttentionItem.objects.count() == 14


def test_a_job_that_the_platform_stops_needs_a_person_until_it_goes_on() -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"min_ended": 1})
    start_job(job=job, actor=None)
    tick()
    deliver()
    for unit in units:
        command = Command.objects.get(device=unit.device)
        unit.result(command, "failed")
    tick()
    job.refresh_from_db()
    assert job.status == "stopped"

    [title] = open_titles("job")
    assert title.startswith("Night reboot: stopped: Wave 1: 4 of 4 finished devices")
    resume_job(job=job, actor=None, reason="fixed")

    assert open_titles("job") == []


def test_a_job_that_a_person_pauses_calls_nobody() -> None:
    job = make_job(fleet_of(2))
    start_job(job=job, actor=None)
    tick()
    person = MembershipFactory.create(tenant=job.tenant).user
    pause_job(job=job, actor=person, reason="lunch")

    assert open_titles("job") == []


def test_the_queue_lists_items_of_every_kind_and_pages_over_both_tables() -> None:
    unit = online_unit(uid="d-1")
    tenant = unit.device.tenant
    command = unknown_outcome(unit)
    take_attention()
    cohort = Cohort.objects.create(tenant=tenant, name="Cold", query="tag:cold")
    for number in range(2):
        CohortCall.objects.create(
            **{"tenant": tenant, "cohort": cohort, "kind": "entered"},
            **{"uid": f"c-{number}", "opened_at": timezone.now()},
        )
    escalate_command(command=ask(unit), actor=None, reason="look")
    take_attention()
    client = client_of(tenant)

    items, url = [], f"{ITEMS}?limit=1"
    while url:
        page = client.get(url).json()
        items += page["results"]
        url = page["next"]
    back = client.get(page["previous"]).json()["results"]

    assert [item["kind"] for item in items] == [
        "command",
        "command",
        "cohort",
        "cohort",
    ]
    assert [item["id"] for item in back] == [items[2]["id"]]
    first = items[0]
    named = {"kind": "command", "id": str(command.public_id), "name": "reboot"}
    assert first["object"] == named
    assert first["device"] == "d-1"
    assert first["urgency"]["score"] > items[3]["urgency"]["score"]
    assert "it may or may not have run" in first["urgency"]["reasons"]
    assert (first["due_at"], first["assignee"]) == (None, None)
    found = client.get(ITEMS, {"kind": "command"}).json()["results"]
    assert len(found) == 2
    calls = client.get(ITEMS, {"cohort": str(cohort.public_id)}).json()["results"]
    assert [item["kind"] for item in calls] == ["cohort", "cohort"]
    for wrong in ({"kind": "x"}, {"view": "x"}, {"cohort": "x"}, {"cursor": "x"}):
        assert client.get(ITEMS, wrong).status_code == 400


def test_people_claim_release_and_close_an_item_and_one_of_two_is_first() -> None:
    command = unknown_outcome(online_unit())
    take_attention()
    first, second = client_of(command.tenant), client_of(command.tenant)
    [item] = first.get(ITEMS).json()["results"]
    path = f"{ITEMS}{item['id']}/"

    claimed = first.post(f"{path}claim/").json()
    too_late = second.post(f"{path}claim/")
    mine = first.get(ITEMS, {"view": "mine"}).json()["results"]
    unassigned = second.get(ITEMS, {"view": "unassigned"}).json()["results"]
    viewer = client_of(command.tenant, Role.VIEWER).post(f"{path}close/")
    refused = second.post(f"{path}close/")
    second.post(f"{path}release/")
    closed = second.post(f"{path}close/").json()

    assert too_late.status_code == refused.status_code == 409
    assert too_late.json()["assignee"] == claimed["assignee"]
    assert ([row["id"] for row in mine], unassigned) == ([item["id"]], [])
    assert viewer.status_code == 403
    assert closed["closed_at"] is not None
    assert first.get(path).json() == closed
    assert first.get(ITEMS).json()["results"] == []


def test_a_limited_member_sees_items_of_their_own_devices_and_jobs() -> None:
    [here] = fleet_of(1, uid="d-here")
    tenant = here.device.tenant
    [there] = fleet_of(1, uid="d-there", tenant=tenant)
    for unit in (here, there):
        unknown_outcome(unit)
        job = make_job(
            [unit], name=f"Job of {unit.device.uid}", request=unit.device.uid
        )
        start_job(job=job, actor=None)
        tick()
        deliver()
        unit.result(Command.objects.get(job=job), "failed")
        tick()
    take_attention()

    limited = client_of(tenant, at=here.device.site).get(ITEMS).json()["results"]

    assert len(client_of(tenant).get(ITEMS).json()["results"]) == 6
    named = [(item["object"]["name"], item["device"]) for item in limited]
    assert named == [("Job of d-here", None)] + [("reboot", "d-here")] * 2


def test_old_closed_items_and_entries_are_forgotten() -> None:
    unit = online_unit()
    command = unknown_outcome(unit)
    take_attention()
    unit.result(command)
    take_attention()
    long_ago = timezone.now() - timedelta(days=401)
    AttentionItem.objects.update(closed_at=long_ago)
    assert forget_items_across_tenants(now=long_ago) == 0
    AttentionEntry.objects.update(over_at=long_ago)

    assert keep_history() == 2
    assert not AttentionItem.objects.exists()
    assert not AttentionEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_several_workers_take_each_entry_once() -> None:
    commands = [unknown_outcome(unit) for unit in fleet_of(8)]
    start, taken = Barrier(4), []

    def take() -> None:
        start.wait()
        taken.append(take_attention_across_tenants())
        connection.close()

    threads = [Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    take_attention()

    assert sum(taken) <= len(commands)
    found = AttentionItem.objects.values_list("object_id", flat=True)
    assert sorted(found) == sorted(command.public_id for command in commands)


def test_an_episode_that_is_told_twice_is_one_item() -> None:
    unknown_outcome(online_unit())
    take_attention()
    entry = AttentionEntry.objects.get()
    again = Attention(
        tenant_id=entry.tenant_id,
        kind=AttentionKind(entry.kind),
        object_kind=AttentionObject(entry.object_kind),
        object_id=entry.object_id,
        episode=entry.episode,
        device_id=entry.device_id,
        reason="again",
        at=now(),
    )

    ask_for_attention([again, again])

    assert take_attention_across_tenants() == 0
    assert AttentionItem.objects.count() == 1
