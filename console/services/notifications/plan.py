"""Who is to be told of which incident: one row for each (incident, rule, step).

It looks at the open incidents that nobody has acknowledged. So an incident that grows
worse is told by the rules that it matches then, and an acknowledgement or an end stops
the next step.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction

from console.choices import Channel, DeliveryStatus, TargetKind
from console.judgment.quiet_hours import end_of_quiet
from console.models import (
    Incident,
    Notification,
    NotificationRule,
    OutgoingEvent,
    Webhook,
)
from iotplatform.common import bulk_sql
from iotplatform.common.ids import new_public_id
from state.choices import Severity

BATCH = 1_000
INCIDENT_TYPE = "incident.notified"
CHANNELS = {
    TargetKind.USER: Channel.MAIL,
    TargetKind.MAIL: Channel.MAIL,
    TargetKind.CHAT: Channel.CHAT,
    TargetKind.WEBHOOK: Channel.WEBHOOK,
}

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('console.plan_notifications'))"
# The sites of an incident are read once for all rules.
_DUE = """
    WITH waiting AS MATERIALIZED (
        SELECT i.* FROM console_incident i
        WHERE i.status <> 'resolved' AND i.acknowledged_at IS NULL
            AND i.tenant_id IN (SELECT tenant_id FROM console_notificationrule
                WHERE is_enabled)
    ), places AS MATERIALIZED (
        SELECT m.incident_id, array_agg(DISTINCT s.slug)::text[] AS slugs
        FROM waiting i
        JOIN console_incidentmember m ON m.incident_id = i.id
        JOIN registry_device d ON d.id = m.device_id
        JOIN registry_site s ON s.id = d.site_id AND s.tenant_id = i.tenant_id
        WHERE i.tenant_id IN (SELECT tenant_id FROM console_notificationrule
            WHERE is_enabled AND sites <> '[]')
        GROUP BY m.incident_id
    )
    SELECT r.id, i.id, coalesce(told.step, 0) + 1
    FROM waiting i JOIN console_notificationrule r ON r.tenant_id = i.tenant_id
    LEFT JOIN places p ON p.incident_id = i.id
    LEFT JOIN LATERAL (
        SELECT n.step, n.status, n.tell_at FROM console_notification n
        WHERE n.incident_id = i.id AND n.rule_id = r.id AND n.step IS NOT NULL
        ORDER BY n.step DESC LIMIT 1
    ) told ON true
    WHERE r.is_enabled
        AND array_position(%s, i.severity::text)
            >= array_position(%s, r.severity::text)
        AND (r.causes = '[]' OR r.causes ? i.cause)
        AND (r.sites = '[]' OR (i.object_kind = 'site' AND r.sites ? i.object_id)
            OR r.sites ?| p.slugs)
        AND (told.step IS NULL OR (
            told.step < jsonb_array_length(r.targets)
            AND r.escalate_after_minutes IS NOT NULL
            AND (told.status = 'failed' OR told.tell_at <= %s
                - r.escalate_after_minutes * interval '1 minute')
        ))
    ORDER BY i.id, r.id LIMIT %s
"""
# The time zone of incidents whose devices are all in one.
_ZONES = """
    SELECT m.incident_id, min(s.time_zone) FROM console_incidentmember m
    JOIN registry_device d ON d.id = m.device_id
    JOIN registry_site s ON s.id = d.site_id AND s.tenant_id = m.tenant_id
    WHERE m.incident_id = ANY(%s)
    GROUP BY m.incident_id HAVING count(DISTINCT s.time_zone) = 1
"""


@dataclass(frozen=True)
class Due:
    """A target that is to be told of an incident."""

    rule: NotificationRule
    incident: Incident
    step: int

    @property
    def target(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.rule.targets[self.step - 1]
        return found

    @property
    def order_key(self) -> str:
        if self.target["kind"] == TargetKind.WEBHOOK:
            return f"rule:{self.rule.pk}:{self.incident.pk}"
        return key_of_target(self.target)

    @property
    def is_quiet(self) -> bool:
        """Whether quiet hours hold it back."""
        is_critical = self.incident.severity == Severity.CRITICAL
        return bool(self.rule.quiet_hours) and not is_critical


@dataclass
class Times:
    """When a target is told: after its quiet hours, and together with others."""

    now: datetime
    zones: Mapping[int, str]
    # Of each target the times at which messages are already to be told.
    windows: dict[str, set[datetime]] = field(default_factory=dict)

    def of(self, due: Due) -> datetime:
        at = self.now
        if due.rule.digest_minutes and due.target["kind"] != TargetKind.WEBHOOK:
            last = self.now + timedelta(minutes=due.rule.digest_minutes)
            open_until = self.windows.setdefault(due.order_key, set())
            at = min((at for at in open_until if at <= last), default=last)
            open_until.add(at)
        if due.is_quiet:
            zone = due.rule.time_zone or self.zones.get(due.incident.pk, "UTC")
            at = end_of_quiet(at, due.rule.quiet_hours, ZoneInfo(zone))
        return at


@transaction.atomic
def plan_notifications_across_tenants(*, now: datetime) -> int:
    """Make the messages of a batch of steps that are due; return how many."""
    ((is_ours,),) = bulk_sql.fetch(_LOCK)
    due = _read_due(now) if is_ours else []
    if not due:
        return 0
    times = Times(now, _zones(due), _windows(due, now))
    events = [_event(each, now) for each in due]
    OutgoingEvent.objects.bulk_create(events)
    hooks = known_webhooks([each.target for each in due])
    rows = [
        _row(each, event, times.of(each), hooks, now)
        for each, event in zip(due, events, strict=True)
    ]
    Notification.objects.bulk_create(rows)
    return len(rows)


def key_of_target(target: Mapping[str, Any]) -> str:
    """Return the order key of a target's messages, which also finds the target."""
    return f"to:{target['id']}"


def known_webhooks(targets: Sequence[Mapping[str, Any]]) -> set[int]:
    """Return which of the webhooks that targets name are still there."""
    ids: set[int] = {each.get("webhook_id", 0) for each in targets} - {0}
    rows = Webhook.objects.filter(pk__in=ids)
    return set(rows.values_list("pk", flat=True)) if ids else set()


def _read_due(now: datetime) -> list[Due]:
    ranks = list(Severity.values)
    found = bulk_sql.fetch(_DUE, [ranks, ranks, now, BATCH])
    rules = NotificationRule.objects.select_related("tenant").in_bulk(
        {rule_id for rule_id, _, _ in found}
    )
    incidents = Incident.objects.in_bulk({incident_id for _, incident_id, _ in found})
    return [
        Due(rules[rule_id], incidents[incident_id], step)
        for rule_id, incident_id, step in found
        # Not what was deleted or changed this very moment.
        if rule_id in rules
        and incident_id in incidents
        and step <= len(rules[rule_id].targets)
    ]


def _zones(due: Sequence[Due]) -> dict[int, str]:
    ids = {d.incident.pk for d in due if d.is_quiet and not d.rule.time_zone}
    return dict(bulk_sql.fetch(_ZONES, [sorted(ids)])) if ids else {}


def _windows(due: Sequence[Due], now: datetime) -> dict[str, set[datetime]]:
    keys = {each.order_key for each in due if each.rule.digest_minutes}
    rows = Notification.objects.filter(
        order_key__in=keys, webhook=None, status=DeliveryStatus.PENDING, tell_at__gt=now
    )
    found: dict[str, set[datetime]] = defaultdict(set)
    for key, at in rows.values_list("order_key", "tell_at").distinct():
        if at is not None:  # of a rule it never is
            found[key].add(at)
    return found


def _event(due: Due, now: datetime) -> OutgoingEvent:
    row, rule = due.incident, due.rule
    data = {
        "incident": str(row.public_id),
        "number": row.number,
        "title": row.title,
        "severity": row.severity,
        "status": row.status,
        "cause": row.cause,
        "object": {
            "kind": row.object_kind,
            "id": row.object_id,
            "name": row.object_name,
        },
        "devices": row.device_count,
        "opened_at": row.opened_at.isoformat(timespec="seconds"),
        "rule": rule.name,
        "step": due.step,
    }
    return OutgoingEvent(
        public_id=new_public_id(),
        tenant_id=row.tenant_id,
        order_key=due.order_key,
        type=INCIDENT_TYPE,
        subject=str(row.public_id),
        at=now,
        data=data,
        is_spread=True,  # it is for this target alone
    )


def _row(
    due: Due, event: OutgoingEvent, at: datetime, hooks: set[int], now: datetime
) -> Notification:
    return Notification(
        tenant_id=due.incident.tenant_id,
        type=event.type,
        subject=event.subject,
        event=event,
        rule=due.rule,
        incident=due.incident,
        step=due.step,
        order_key=due.order_key,
        created_at=now,
        **addressed(due.target, hooks, at=at),
    )


def addressed(
    target: Mapping[str, Any], hooks: set[int], *, at: datetime
) -> dict[str, Any]:
    """Return the columns of a message that say to whom it goes, and when.

    ``hooks`` are the webhooks that are still there; to another one it has failed.
    """
    hook_id = target.get("webhook_id")
    is_gone = hook_id is not None and hook_id not in hooks
    return {
        "channel": CHANNELS[TargetKind(target["kind"])],
        "target": target["name"],
        "webhook_id": None if is_gone else hook_id,
        "status": DeliveryStatus.FAILED if is_gone else DeliveryStatus.PENDING,
        "error": "there is no such webhook any more" if is_gone else "",
        "due_at": None if is_gone else at,
        "tell_at": at,
    }
