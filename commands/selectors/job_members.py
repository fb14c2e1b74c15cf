"""Reads about members of a job: may they join, and who is next."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, Exists, Expression, OuterRef

from commands.choices import CommandClass, WaveStatus
from commands.definitions import Definition
from commands.models import Job, JobTarget, JobWave
from commands.selectors.firmware_targets import firmware_refusals
from commands.windows import open_zones
from iotplatform.common import bulk_sql
from registry.choices import JOINS_JOBS, Lifecycle
from registry.models import Site, Tenant
from registry.selectors.access import sql_within
from state.selectors.compliance import find_compliant

COMPLIANT = "has these values already"
# One array parameter: an IN list of 100,000 would be 100,000 parameters.
JOIN_FACTS = """
    SELECT d.id, d.lifecycle, p.takes_commands, d.product_id = ANY(%s::bigint[])
    FROM registry_device d JOIN registry_product p ON p.id = d.product_id
    WHERE d.id = ANY(%s::bigint[]) AND {accessible} ORDER BY d.id
"""
GATEWAYS = """
    SELECT id, gateway_id FROM registry_device
    WHERE id = ANY(%s::bigint[]) AND gateway_id = ANY(%s::bigint[])
"""


class NextMember(NamedTuple):
    """A member that is to get its command, or the reason why it gets none."""

    target_id: int
    device_id: int
    refusal: str


def get_join_refusals(
    tenant: Tenant,
    device_ids: Sequence[int],
    *,
    without: Collection[int] = (),
    definition: Definition | None = None,
    params: dict[str, Any] | None = None,
) -> dict[int, str]:
    """Return for each of the tenant's devices why it may not join a job; empty: it may.

    ``without`` are products that do not have the command. With a definition and its
    parameters, devices that have the values of a configuration are left out as
    COMPLIANT, and those that a firmware version is not for. Ids of other devices are
    left out.
    """
    accessible, values = sql_within([tenant], "d")
    statement = JOIN_FACTS.format(accessible=accessible)
    kinds: dict[tuple[Any, ...], str] = {}  # few kinds of devices, many devices
    refusals = {}
    wanted = [list(without), list(device_ids), *values]
    for pk, *facts in bulk_sql.fetch(statement, wanted):
        kind = tuple(facts)
        if kind not in kinds:
            kinds[kind] = _why_not(*kind)
        refusals[pk] = kinds[kind]
    if not params or not definition:
        return refusals
    joining = [pk for pk, reason in refusals.items() if not reason]
    refusals |= firmware_refusals(
        tenant, joining, command_name=definition.name, params=params
    )
    if definition.command_class == CommandClass.CONFIG:
        expected = definition.expected(params)
        if expected and joining:
            compliant = find_compliant(joining, params, expected=expected)
            refusals |= dict.fromkeys(compliant, COMPLIANT)
    return refusals


def find_gateways_among(device_ids: Sequence[int]) -> dict[int, int]:
    """Return the gateway of each of these devices whose gateway is one of them."""
    ids = list(device_ids)
    return dict(bulk_sql.fetch(GATEWAYS, [ids, ids]))


def list_next_members(
    job: Job,
    wave: int,
    *,
    limit: int,
    now: datetime,
    without: Expression | None = None,
) -> list[NextMember]:
    """Return the next members of the wave that have no command yet.

    Of a job with a window, only those at sites where it is open; not those that
    ``without`` selects.
    """
    waiting = JobTarget.objects.filter(
        job=job, wave=wave, command__isnull=True, skip_reason=""
    )
    if without is not None:
        waiting = waiting.exclude(pk__in=without)
    if window := job.rollout.get("window"):
        sites = Site.objects.filter(tenant=job.tenant_id)
        zones = set(sites.values_list("time_zone", flat=True))
        opened = open_zones(window, zones, now)
        if not opened:
            return []
        if len(opened) < len(zones):
            here = sites.filter(time_zone__in=opened)
            waiting = waiting.filter(device__site__in=here)
    facts = waiting.order_by("pk").values_list(
        "pk", "device_id", "device__lifecycle", "device__product__takes_commands"
    )
    return [
        NextMember(pk, device_id, _why_not(lifecycle, takes_commands))
        for pk, device_id, lifecycle, takes_commands in facts[:limit]
    ]


def count_pending_by_zone(job_ids: Collection[int]) -> dict[int, dict[str, int]]:
    """Return how many members of released waves wait for a command, by their zone."""
    released = JobWave.objects.filter(
        job=OuterRef("job"), number=OuterRef("wave"), status=WaveStatus.RELEASED
    )
    pending = JobTarget.objects.filter(
        Exists(released), job_id__in=job_ids, command__isnull=True, skip_reason=""
    )
    groups = pending.values_list("job_id", "device__site__time_zone")
    found: dict[int, dict[str, int]] = defaultdict(dict)
    for job_id, zone, members in groups.annotate(Count("pk")).order_by():
        found[job_id][zone] = members
    return found


def _why_not(lifecycle: str, takes_commands: bool, is_without: bool = False) -> str:
    if lifecycle not in JOINS_JOBS:
        return f"is {Lifecycle(lifecycle).label}: only active devices join jobs"
    if not takes_commands:
        return "its product takes no commands"
    if is_without:
        return "its product does not have this command"
    return ""
