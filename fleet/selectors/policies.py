"""Reads of standing policies: their compliance, their rivals, values of variables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from commands.choices import CommandStatus, FailureClass
from fleet.exceptions import NoSuchPolicy
from fleet.models import PolicyCompliance, PolicyMember, StandingPolicy
from fleet.policy_templates import VARIABLES
from iotplatform.common import bulk_sql
from iotplatform.common.ids import parse_uuid
from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant
from state.judgment.desired_asks import paths_of

SHOWN = timedelta(days=7)
FIRMWARE_PATH = "/firmware"  # what a release is about, beside paths of configuration

# {m} has a patch, t is its device's twin. A value that we asked for and that does not
# differ is reported, within the precision of the device's numbers.
COMPLIANT = """(CASE
    WHEN {m}.patch IS NULL OR t.device_id IS NULL THEN false
    WHEN t.reported @> {m}.patch THEN true
    ELSE t.desired @> {m}.patch AND t.reported <> '{{}}'
        AND NOT t.delta ?| ARRAY(SELECT jsonb_object_keys({m}.patch)) END)"""
_COUNT = f"""
    SELECT m.policy_id, count(*), count(*) FILTER (WHERE {COMPLIANT.format(m="m")}),
        count(*) FILTER (WHERE m.overruled <> '{{}}' OR EXISTS (
            SELECT FROM jsonb_object_keys(coalesce(m.patch, '{{}}')) AS own(name)
            JOIN jsonb_each(coalesce(t.desired_asks, '{{}}')) AS ask(path, value)
                ON ask.path = '/' || own.name
                OR starts_with(ask.path, '/' || own.name || '/')
            WHERE p.desired IS NOT NULL AND ask.value ->> 'by' <> 'policy'
                AND (ask.value ->> 'at')::timestamptz > p.asked_at
                AND NOT t.reported @> m.patch
        ))
    FROM fleet_policymember m JOIN fleet_standingpolicy p ON p.id = m.policy_id
    LEFT JOIN state_twin t ON t.device_id = m.device_id
    WHERE m.policy_id = ANY(%s) GROUP BY m.policy_id
"""
_REASONS = """
    SELECT reason, count(*) AS count, (array_agg(d.uid ORDER BY d.uid))[1:20] AS devices
    FROM fleet_policymember m JOIN registry_device d ON d.id = m.device_id
    WHERE m.policy_id = %s AND m.reason <> ''
    GROUP BY reason ORDER BY 2 DESC, 1 LIMIT 20
"""
# A policy sends again what ended without success, a little later each time. What a
# person has in their inbox, or has cancelled or retried, is theirs.
MOST_TRIES = 5
FAILED = """
    FROM fleet_policymember m JOIN commands_command c ON c.public_id = m.command
    WHERE m.policy_id = %s AND c.status IN ('failed', 'timed_out', 'unknown', 'expired')
        AND NOT EXISTS (SELECT FROM commands_command s WHERE s.retry_of_id = c.id)
"""
_FAILING = f"""
    SELECT f.failure_class, f.status, f.tries, f.needs_person, count(*) AS count,
        (array_agg(d.uid ORDER BY d.uid))[1:20] AS devices
    FROM (
        SELECT m.device_id, c.failure_class, c.status, m.tries, c.needs_person {FAILED}
    ) f JOIN registry_device d ON d.id = f.device_id
    GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT 20
"""
_OVERRULED_BY = """
    SELECT o.path AS key, o.who AS by, count(*) AS count FROM fleet_policymember m,
        jsonb_each_text(m.overruled) AS o(path, who)
    WHERE m.policy_id = %s GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT 20
"""
_REPORT = "SELECT " + ", ".join(
    f"(SELECT coalesce(json_agg(r), '[]') FROM ({part}) r)"
    for part in (_OVERRULED_BY, _REASONS, _FAILING)
)
_VALUES = f"""
    SELECT d.id, {", ".join(VARIABLES.values())}
    FROM registry_device d JOIN registry_tenant t ON t.id = d.tenant_id
    JOIN registry_product p ON p.id = d.product_id
    JOIN registry_site s ON s.id = d.site_id
    WHERE d.id = ANY(%s)
"""


@dataclass(frozen=True)
class Compliance:
    """The devices of a policy: all, those that have what it wants, those that cannot.

    A device is overruled if another policy, or a later change by a person or a job,
    decides a key of it.
    """

    total: int = 0
    compliant: int = 0
    overruled: int = 0

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class PolicyReport:
    """Why devices of a policy do not have what it wants."""

    # [{"key", "by", "count"}]: who decides a key instead.
    overruled_by: list[dict[str, Any]] = field(default_factory=list)
    # [{"reason", "count", "devices"}]: why nothing was sent.
    not_sent: list[dict[str, Any]] = field(default_factory=list)
    # The same of what was sent and has failed: why, and what follows.
    failing: list[dict[str, Any]] = field(default_factory=list)


def list_policies(*, tenants: Sequence[Tenant]) -> QuerySet[StandingPolicy]:
    """Return the policies of these tenants, with what answers name."""
    rows = StandingPolicy.objects.filter(tenant__in=tenants)
    rows = rows.select_related("tenant", "cohort", "release", "created_by")
    return rows.order_by("pk")


def get_policy(*, tenants: Sequence[Tenant], public_id: UUID | str) -> StandingPolicy:
    """Return one policy; raises NoSuchPolicy."""
    wanted = parse_uuid(public_id)
    found = wanted and list_policies(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchPolicy("There is no such standing policy.")
    attach_caller_tenant(found, tenants)
    return found


def compliance_of(policies: Collection[StandingPolicy]) -> dict[int, Compliance]:
    """Count the devices of each of these policies, in one query."""
    found = {policy.pk: Compliance() for policy in policies}
    for pk, *counts in bulk_sql.fetch(_COUNT, [sorted(found)]):
        found[pk] = Compliance(*counts)
    return found


def report_of(policy: StandingPolicy) -> PolicyReport:
    """Return who decides keys instead of a policy, and why nothing was sent."""
    [parts] = bulk_sql.fetch(_REPORT, [policy.pk] * 3)
    overruled, not_sent, failing = parts
    return PolicyReport(overruled, not_sent, [_failing(row) for row in failing])


def _failing(row: dict[str, Any]) -> dict[str, Any]:
    """Say how updates failed, and who does what next."""
    failure, status, tries = row["failure_class"], row["status"], row["tries"]
    words = FailureClass(failure).label if failure else CommandStatus(status).label
    what = f"{words}: sent {tries} of {MOST_TRIES} times, again a little later"
    if row["needs_person"] or tries >= MOST_TRIES:
        what = f"{words}: a person must look at it"
    return {"reason": what, "count": row["count"], "devices": row["devices"]}


def list_compliance(policy: StandingPolicy) -> list[PolicyCompliance]:
    """Return the recorded compliance of the last week, the oldest first."""
    since: datetime = timezone.now() - SHOWN
    rows = PolicyCompliance.objects.filter(policy=policy, at__gte=since)
    return list(rows.order_by("at"))


def list_rivals(
    policy: StandingPolicy, device_ids: Collection[int]
) -> dict[int, list[tuple[str, str]]]:
    """Return by device the keys that stronger policies want, with their names.

    The strongest first. A key is written as a path ("/net/apn").
    """
    higher = Q(priority__gt=policy.priority)
    older = Q(priority=policy.priority, pk__lt=policy.pk)
    rows = StandingPolicy.objects.filter(higher | older, tenant=policy.tenant_id)
    rows = rows.filter(is_enabled=True, desired__isnull=policy.desired is None)
    rivals = {row.pk: row for row in rows}
    members = PolicyMember.objects.filter(policy__in=rivals, device__in=device_ids)
    found: dict[int, list[tuple[str, str]]] = {}
    pairs = members.order_by("-policy__priority", "policy_id")
    for device_id, pk in pairs.values_list("device_id", "policy_id"):
        rival = rivals[pk]
        own = found.setdefault(device_id, [])
        own += [(rival.name, path) for path in policy_paths(rival)]
    return found


def policy_paths(policy: StandingPolicy) -> list[str]:
    """Return the paths of the keys that a policy wants."""
    return [FIRMWARE_PATH] if policy.desired is None else paths_of(policy.desired)


def values_for(device_ids: Collection[int]) -> dict[int, dict[str, str]]:
    """Return the values of all variables of a policy's texts, by device."""
    rows = bulk_sql.fetch(_VALUES, [sorted(device_ids)])
    return {pk: dict(zip(VARIABLES, values, strict=True)) for pk, *values in rows}
