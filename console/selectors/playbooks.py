"""Reads of playbooks, and of how far the devices of a run are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Count, OuterRef, QuerySet, Subquery

from commands.selectors.attention import Described
from console.choices import StepStatus
from console.definitions import BUILT_IN, BuiltIn
from console.exceptions import NoSuchPlaybook, NoSuchRun
from console.models import Playbook, PlaybookRun, PlaybookRunDevice, PlaybookStep
from console.validation import Step, compile_steps
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant, sets_within

if TYPE_CHECKING:
    from registry.models import Tenant

AnyPlaybook = Playbook | BuiltIn
MOST_NAMES = 50  # own playbooks that a device's page offers


def list_playbooks(*, tenants: Sequence[Tenant]) -> QuerySet[Playbook]:
    """Return the tenants' own playbooks; the built-in ones are no rows."""
    rows = Playbook.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "created_by").order_by("name", "pk")


def list_playbook_names(tenant: Tenant) -> list[dict[str, str]]:
    """Return id and name of a tenant's own playbooks, then of the built-in ones."""
    own = list_playbooks(tenants=[tenant]).values_list("public_id", "name")[:MOST_NAMES]
    names = [{"id": str(public_id), "name": name} for public_id, name in own]
    return names + [{"id": row.key, "name": row.name} for row in BUILT_IN.values()]


def get_playbook(*, tenants: Sequence[Tenant], playbook_id: str) -> AnyPlaybook:
    """Return a built-in playbook by its key, or a tenant's; raises NoSuchPlaybook."""
    if playbook_id in BUILT_IN:
        return BUILT_IN[playbook_id]
    wanted = parse_uuid(playbook_id)
    rows = list_playbooks(tenants=tenants)
    found = wanted and rows.filter(public_id=wanted).first()
    if not found:
        raise NoSuchPlaybook("There is no such playbook.")
    attach_caller_tenant(found, tenants)
    return found


def list_runs(*, tenants: Sequence[Tenant]) -> QuerySet[PlaybookRun]:
    """Return the runs in which the caller may see every device."""
    members = PlaybookRunDevice.objects.all()
    access = sets_within(tenants, members, owner="run_id")
    rows = PlaybookRun.objects.filter(access)
    return rows.select_related("tenant", "playbook", "started_by").order_by("pk")


def get_run(*, tenants: Sequence[Tenant], public_id: UUID | str) -> PlaybookRun:
    """Return one run; raises NoSuchRun."""
    wanted = parse_uuid(public_id)
    found = wanted and list_runs(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchRun("There is no such run.")
    attach_caller_tenant(found, tenants)
    return found


def list_run_devices(run: PlaybookRun) -> QuerySet[PlaybookRunDevice]:
    """Return the devices of a run, by uid."""
    return PlaybookRunDevice.objects.filter(run=run).order_by("uid", "pk")


def steps_of(
    run: PlaybookRun, members: Sequence[PlaybookRunDevice]
) -> dict[int, list[dict[str, Any]]]:
    """Return for each device, by the key of its row, the steps that it has entered.

    Those that it will not enter any more are ``skipped``. Because of branches, two
    devices may have different ones.
    """
    program = compile_steps(run.steps)
    entered: dict[int, dict[int, PlaybookStep]] = {}
    rows = PlaybookStep.objects.filter(member__in=[member.pk for member in members])
    for row in rows:
        entered.setdefault(row.member_id, {})[row.number] = row
    return {
        member.pk: list(_shown(program, member, entered.get(member.pk, {})))
        for member in members
    }


def count_steps(run: PlaybookRun) -> dict[int, dict[str, int]]:
    """Return how many devices have which status at each step."""
    rows = PlaybookStep.objects.filter(run=run).values("number", "status")
    counts: dict[int, dict[str, int]] = {}
    for row in rows.annotate(n=Count("pk")).order_by("number"):
        counts.setdefault(row["number"], {})[row["status"]] = row["n"]
    return counts


def describe_runs(public_ids: Collection[UUID]) -> dict[UUID, Described]:
    """Return what work items say of these runs, in one query.

    A run of one device is named with its uid.
    """
    first = PlaybookRunDevice.objects.filter(run=OuterRef("pk")).values("uid")[:1]
    rows = PlaybookRun.objects.filter(public_id__in=public_ids)
    named = rows.annotate(uid=Subquery(first)).values_list(
        "public_id", "name", "uid", "device_count"
    )
    return {
        public_id: Described(name, "", uid=uid if count == 1 else "")
        for public_id, name, uid, count in named
    }


def _shown(
    program: Mapping[int, Step],
    member: PlaybookRunDevice,
    entered: Mapping[int, PlaybookStep],
) -> Sequence[dict[str, Any]]:
    shown = []
    for number in sorted(program):
        row = entered.get(number)
        if row is None and number > member.position and member.ended_at is None:
            continue
        at: datetime | None = row.at if row else None
        shown.append(
            {
                "number": number,
                "kind": program[number].kind.value,
                "status": row.status if row else StepStatus.SKIPPED.value,
                "result": row.result if row else None,
                "at": at,
            }
        )
    return shown
