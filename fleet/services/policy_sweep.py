"""Applies standing policies: who joins a cohort gets what its policies want.

A sweep of a policy is one transaction under the lock of its row. It compares the cohort
with the members of the last look, and hands out to those that are due as fast as the
policy's rate allows.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F, Q

from commands.services.policy_commands import (
    Sent,
    send_policy_config,
    send_policy_firmware,
)
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.models import PolicyCompliance, PolicyMember, StandingPolicy
from fleet.policy_templates import filled, variables_of
from fleet.selectors.blindness import is_blind
from fleet.selectors.policies import (
    COMPLIANT,
    FAILED,
    MOST_TRIES,
    compliance_of,
    list_rivals,
    values_for,
)
from fleet.selectors.search import list_members
from iotplatform.common import bulk_sql
from registry.choices import TAKES_COMMANDS
from state.judgment.desired_asks import Asks, leave_out, named

logger = logging.getLogger(__name__)

RUN_SECONDS = 10.0  # then the next run goes on with the policies that waited
# A cohort is searched so often; who joins it has a minute to get what it wants.
LOOK_EVERY = timedelta(seconds=20)
BATCH = 1_000  # members of one transaction, as of a job
MINUTE = timedelta(minutes=1)
# The compliance is recorded when it changes, and so often anyway.
RECORDED_EVERY = timedelta(hours=1)
KEPT = timedelta(days=90)

_FOUND = bulk_sql.unnest(PolicyMember, "device_id")
_COMPARE = f"""
    WITH found AS MATERIALIZED (
        SELECT v.device_id FROM {_FOUND}
        JOIN registry_device d ON d.id = v.device_id
        JOIN registry_product p ON p.id = d.product_id
        WHERE p.takes_commands AND d.lifecycle = ANY(%s::text[])
    ), gone AS (
        DELETE FROM fleet_policymember m WHERE m.policy_id = %s
            AND NOT EXISTS (SELECT FROM found f WHERE f.device_id = m.device_id)
        RETURNING m.device_id
    ), came AS (
        INSERT INTO fleet_policymember (tenant_id, policy_id, device_id, is_due,
            overruled, reason)
        SELECT %s, %s, f.device_id, true, '{{}}', '' FROM found f WHERE NOT EXISTS (
            SELECT FROM fleet_policymember m
            WHERE m.policy_id = %s AND m.device_id = f.device_id
        )
        RETURNING device_id
    )
    SELECT device_id FROM gone UNION ALL SELECT device_id FROM came
"""
# Another policy of a device that came or left may now win or lose a key.
_OTHERS_ARE_DUE = """
    UPDATE fleet_policymember SET is_due = true
    WHERE tenant_id = %s AND policy_id <> %s AND device_id = ANY(%s) AND NOT is_due
"""
# All after a change of a policy. Besides, what has changed without a word: the facts
# that variables stand for, and a device that had the wanted values by itself, and has
# them no more. A minute, because a change is seen some time after its own time.
_CHANGED_ARE_DUE = f"""
    UPDATE fleet_policymember m SET is_due = true
    FROM fleet_policymember o
    JOIN registry_device d ON d.id = o.device_id
    LEFT JOIN state_twin t ON t.device_id = o.device_id
    WHERE m.id = o.id AND o.policy_id = %s AND NOT o.is_due AND (
        %s OR (%s AND d.updated_at > o.settled_at - interval '1 minute')
        OR (o.handed_at IS NULL AND o.reason = '' AND o.overruled = '{{}}'
            AND NOT {COMPLIANT.format(m="o")})
    )
"""
# The next looks need to ask only for commands that are open or have failed.
_FORGET_DONE = """
    UPDATE fleet_policymember m SET command = NULL FROM commands_command c
    WHERE m.policy_id = %s AND c.public_id = m.command AND c.ended_at IS NOT NULL
        AND c.status IN ('succeeded', 'verified', 'cancelled', 'superseded')
"""
# What has failed, after ten minutes, then twenty, and so on.
_FAILED_ARE_DUE = f"""
    UPDATE fleet_policymember o SET is_due = true
    WHERE NOT o.is_due AND o.id IN (
        SELECT m.id {FAILED} AND NOT c.needs_person AND m.tries < {MOST_TRIES}
            AND c.ended_at + interval '10 minutes' * 2 ^ (m.tries - 1) <= %s
            AND NOT (SELECT {COMPLIANT.format(m="m")} FROM (SELECT) own
                LEFT JOIN state_twin t ON t.device_id = m.device_id)
    )
"""
_FAILED = f"""
    SELECT m.device_id {FAILED} AND NOT c.needs_person AND m.tries < {MOST_TRIES}
        AND m.device_id = ANY(%s::bigint[])
"""
_SETTLE = bulk_sql.update_by_key(
    PolicyMember,
    *("is_due", "patch", "kept", "overruled", "reason", "handed_at", "settled_at"),
    *("command", "tries"),
)


def apply_policies_across_tenants(*, now: datetime) -> int:
    """Sweep every policy that is switched on; return how many commands were made.

    Silent while the index is away or behind: the next look finds who joined.
    """
    end = time.monotonic() + RUN_SECONDS
    waiting = StandingPolicy.objects.filter(is_enabled=True)
    waiting = waiting.order_by(F("looked_at").asc(nulls_first=True), "pk")
    made = 0
    for pk in list(waiting.values_list("pk", flat=True)):
        if time.monotonic() > end:
            break
        try:
            made += apply_policy(pk, now=now)
        except (OperationalError, InterfaceError):
            raise  # the database is away
        except Exception:
            logger.exception("the standing policy %s cannot be applied", pk)
    return made


@transaction.atomic
def apply_policy(policy_id: int, *, now: datetime) -> int:
    """Look at a policy's cohort if it is time, and hand out; return to how many."""
    rows = StandingPolicy.objects.select_related("tenant", "cohort")
    rows = rows.filter(pk=policy_id, is_enabled=True)
    policy = rows.select_for_update(skip_locked=True, of=("self",)).first()
    if policy is None:
        return 0
    if policy.looked_at is None or policy.looked_at <= now - LOOK_EVERY:
        _look(policy, now)
    return _hand_out(policy, now)


def record_compliance_across_tenants(*, now: datetime) -> int:
    """Record the compliance of each policy where it has changed; return how many."""
    rows = []
    last = PolicyCompliance.objects.order_by("policy", "-at").distinct("policy")
    known = {row.policy_id: row for row in last}
    policies = list(StandingPolicy.objects.filter(is_enabled=True).order_by("pk"))
    compliance = compliance_of(policies)
    for policy in policies:
        found = compliance[policy.pk]
        before = known.get(policy.pk)
        values = (found.total, found.compliant, found.overruled)
        if before is None or (
            before.at <= now - RECORDED_EVERY
            or values != (before.total, before.compliant, before.overruled)
        ):
            rows.append(
                PolicyCompliance(
                    tenant_id=policy.tenant_id,
                    policy=policy,
                    at=now,
                    **found.as_dict(),
                )
            )
    return len(PolicyCompliance.objects.bulk_create(rows))


def forget_compliance_across_tenants(*, now: datetime) -> int:
    """Delete what is older than it is kept; return how many rows."""
    return PolicyCompliance.objects.filter(at__lt=now - KEPT).delete()[0]


def _look(policy: StandingPolicy, now: datetime) -> None:
    """Compare the cohort with the members; note who is due."""
    if is_blind():
        return
    try:
        found = list_members(tenants=[policy.tenant], q=policy.cohort.query).members
    except (QueryError, IndexUnavailable):
        return  # the cohort's page says so
    ids = [member.device_id for member in found]
    pk, tenant = policy.pk, policy.tenant_id
    lifecycles = [str(each.value) for each in TAKES_COMMANDS]
    arrays = bulk_sql.columns_of([(each,) for each in ids], 1)
    moves = bulk_sql.fetch(_COMPARE, [*arrays, lifecycles, pk, tenant, pk, pk])
    if moves:
        moved = sorted({device_id for (device_id,) in moves})
        bulk_sql.run(_OTHERS_ARE_DUE, [tenant, pk, moved])
    is_changed = policy.looked_at is None
    has_variables = bool(variables_of(policy.desired))
    bulk_sql.run(_CHANGED_ARE_DUE, [pk, is_changed, has_variables])
    bulk_sql.run(_FORGET_DONE, [pk])
    bulk_sql.run(_FAILED_ARE_DUE, [pk, now])
    policy.looked_at = now
    policy.save(update_fields=["looked_at"])


def _hand_out(policy: StandingPolicy, now: datetime) -> int:
    lately = Q(policy=policy, handed_at__gt=now - MINUTE)
    room = policy.rate_per_minute - PolicyMember.objects.filter(lately).count()
    due = PolicyMember.objects.filter(policy=policy, is_due=True).order_by("pk")
    members = list(due[:BATCH])
    if not members or room <= 0:
        return 0
    ids = [member.device_id for member in members]
    patches = _wanted(policy, ids)
    kept, overruled = _against_rivals(policy, patches)
    failed = {pk for (pk,) in bulk_sql.fetch(_FAILED, [policy.pk, ids])}
    done = _compliant(policy, kept) | {
        member.device_id
        for member in members
        if member.handed_at is not None
        and member.device_id not in failed
        and member.handed_at >= policy.asked_at
        and member.kept == kept[member.device_id]
    }
    wanting = [pk for pk in ids if kept[pk] and pk not in done]
    asked = wanting[:room]
    tries = {
        member.device_id: member.tries + 1 if member.device_id in failed else 1
        for member in members
    }
    sent = _send(policy, {pk: kept[pk] for pk in asked}, tries, now)
    still_due = {*wanting[room:], *(pk for pk, each in sent.items() if each.is_later)}
    rows = [
        (
            *_settled(member, patches[pk], kept[pk], overruled[pk], sent.get(pk), now),
            *_handed(member, sent.get(pk), tries[pk]),
        )
        for member in members
        if (pk := member.device_id) not in still_due
    ]
    bulk_sql.run(_SETTLE, bulk_sql.columns_of(rows, 10))
    return sum(1 for each in sent.values() if not each.reason)


def _settled(
    member: PolicyMember,
    patch: dict[str, Any],
    kept: dict[str, Any],
    overruled: dict[str, str],
    outcome: Sent | None,
    now: datetime,
) -> tuple[Any, ...]:
    """Return the member's values after a look; ``outcome`` if something was sent."""
    is_handed = outcome is not None and not outcome.reason
    reason, handed_at = "", member.handed_at
    if outcome is not None:
        overruled = overruled | outcome.overruled
        reason = outcome.reason
        handed_at = now if is_handed else handed_at
    elif member.kept == kept:
        # What people changed later is known from when it was handed out.
        overruled = member.overruled | overruled
    encode = msgspec.json.encode
    return (
        *(member.pk, False, encode(patch).decode(), encode(kept).decode()),
        *(encode(overruled).decode(), reason, handed_at, now),
    )


def _handed(
    member: PolicyMember, outcome: Sent | None, tries: int
) -> tuple[UUID | None, int]:
    """Return the command that a member got last, and which try it is."""
    if outcome is None or outcome.command is None:
        return member.command, member.tries
    return outcome.command, tries


def _wanted(policy: StandingPolicy, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return what the policy wants of each device, its variables filled in."""
    if policy.desired is None:
        return {pk: {"firmware": policy.firmware_version} for pk in ids}
    if not variables_of(policy.desired):
        return dict.fromkeys(ids, policy.desired)
    values = values_for(ids)
    return {pk: filled(policy.desired, values[pk]) for pk in ids}


def _against_rivals(
    policy: StandingPolicy, patches: Mapping[int, dict[str, Any]]
) -> tuple[dict[int, dict[str, Any]], dict[int, dict[str, str]]]:
    """Leave out the keys that a policy of a higher priority wants of a device."""
    kept: dict[int, dict[str, Any]] = {}
    overruled: dict[int, dict[str, str]] = {}
    rivals = list_rivals(policy, list(patches))
    for pk, patch in patches.items():
        asks: Asks = {}
        for name, path in rivals.get(pk, ()):
            asked = {"at": "", "by": "policy", "who": name, "command": None}
            asks.setdefault(path, asked)  # type: ignore[arg-type]
        kept[pk], lost = leave_out(patch, asks)
        overruled[pk] = {named(path): ask["who"] for path, ask in lost.items()}
    return kept, overruled


_COMPLIANT = f"""
    SELECT m.device_id FROM fleet_policymember o
    JOIN (SELECT * FROM {bulk_sql.unnest(PolicyMember, "device_id", "patch")}) m
        ON m.device_id = o.device_id
    LEFT JOIN state_twin t ON t.device_id = m.device_id
    WHERE o.policy_id = %s AND o.handed_at IS NULL AND {COMPLIANT.format(m="m")}
"""


def _compliant(policy: StandingPolicy, kept: Mapping[int, dict[str, Any]]) -> set[int]:
    """Return the newcomers that have the wanted values already."""
    rows = [(pk, msgspec.json.encode(patch).decode()) for pk, patch in kept.items()]
    arrays = bulk_sql.columns_of(rows, 2)
    return {pk for (pk,) in bulk_sql.fetch(_COMPLIANT, [*arrays, policy.pk])}


def _send(
    policy: StandingPolicy,
    patches: Mapping[int, dict[str, Any]],
    tries: Mapping[int, int],
    now: datetime,
) -> dict[int, Sent]:
    if not patches:
        return {}
    common: dict[str, Any] = {
        "tenant_id": policy.tenant_id,
        "policy": policy.name,
        "last_try": {pk for pk, number in tries.items() if number >= MOST_TRIES},
        "now": now,
    }
    if policy.desired is None:
        ids, version = sorted(patches), policy.firmware_version
        return send_policy_firmware(**common, version=version, device_ids=ids)
    return send_policy_config(**common, asked_at=policy.asked_at, patches=patches)
