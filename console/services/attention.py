"""The attention inbox becomes work items; old ones go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from commands.choices import FailureClass
from commands.selectors.attention import (
    Described,
    describe_commands,
    describe_gateways,
    describe_jobs,
)
from console.models import AttentionItem
from console.selectors.playbooks import describe_runs
from iotplatform.common import bulk_sql
from state.choices import AttentionKind, AttentionObject
from state.services.attention import lock_new_entries_across_tenants, mark_taken

if TYPE_CHECKING:
    from state.models import AttentionEntry

# Entries of one transaction. They stay locked meanwhile, and whoever ends one waits.
BATCH = 1_000
KEPT = timedelta(days=400)  # closed items

# The most urgent work has the highest score.
SCORES = {
    AttentionKind.JOB: 70,
    AttentionKind.MIXED: 65,
    AttentionKind.PLAYBOOK_STEP: 60,
    AttentionKind.COMMAND: 50,
    AttentionKind.APPROVAL: 40,
}
REASONS = {
    AttentionKind.JOB: "a job stands still",
    AttentionKind.MIXED: "a gateway and its children do not go together",
    AttentionKind.PLAYBOOK_STEP: "a playbook needs a person",
    AttentionKind.COMMAND: "a command needs a person",
    AttentionKind.APPROVAL: "it waits for an approval",
}
# What a work item says of its object, by the kind of the object.
DESCRIBED_BY = {
    AttentionObject.COMMAND: describe_commands,
    AttentionObject.JOB: describe_jobs,
    AttentionObject.PLAYBOOK_RUN: describe_runs,
    AttentionObject.DEVICE: describe_gateways,
}
MORE_IF_UNKNOWN, MORE_IF_CONTROL = 10, 10

_CLOSE = """
    UPDATE console_attentionitem i SET closed_at = v.over_at
    FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::timestamptz[])
        AS v(object_id, kind, episode, over_at)
    WHERE i.object_id = v.object_id AND i.kind = v.kind AND i.episode = v.episode
        AND i.closed_at IS NULL
"""


@transaction.atomic
def take_attention_across_tenants() -> int:
    """Make items of a batch of new entries, close those that are over; return both.

    Several workers may do this at the same time: each takes other entries, and a kill
    before the commit leaves them to the next.
    """
    entries = lock_new_entries_across_tenants(limit=BATCH)
    if not entries:
        return 0
    # One that was over before anybody could see it is no work.
    _open_items([entry for entry in entries if entry.over_at is None])
    over = [entry for entry in entries if entry.over_at is not None]
    rows = [(e.object_id, e.kind, e.episode, e.over_at) for e in over]
    if rows:
        bulk_sql.run(_CLOSE, bulk_sql.columns_of(rows, 4))
    mark_taken(entries)
    return len(entries)


def forget_items_across_tenants(*, now: datetime) -> int:
    """Delete a batch of items that were closed long ago; return how many."""
    old = Q(closed_at__lt=now - KEPT)
    batch = list(AttentionItem.objects.filter(old).values_list("pk", flat=True)[:BATCH])
    AttentionItem.objects.filter(pk__in=batch).delete()
    return len(batch)


def urgency_of(kind: AttentionKind, described: Described) -> tuple[int, list[str]]:
    """Return how urgent an item is, and why."""
    score, reasons = SCORES[kind], [REASONS[kind]]
    if described.failure_class == FailureClass.UNKNOWN_OUTCOME:
        score += MORE_IF_UNKNOWN
        reasons.append("it may or may not have run")
    if described.is_control:
        score += MORE_IF_CONTROL
        reasons.append("it is a real-time command")
    return score, reasons


def _open_items(entries: Sequence[AttentionEntry]) -> None:
    described: dict[UUID, Described] = {}
    for object_kind, describe in DESCRIBED_BY.items():
        ids = [e.object_id for e in entries if e.object_kind == object_kind]
        if ids:
            described |= describe(ids)
    AttentionItem.objects.bulk_create(
        [
            _item(entry, described[entry.object_id])
            for entry in entries
            if entry.object_id in described
        ],
        ignore_conflicts=True,
    )


def _item(entry: AttentionEntry, described: Described) -> AttentionItem:
    kind = AttentionKind(entry.kind)
    score, reasons = urgency_of(kind, described)
    return AttentionItem(
        tenant_id=entry.tenant_id,
        kind=kind,
        object_kind=entry.object_kind,
        object_id=entry.object_id,
        episode=entry.episode,
        object_name=described.name,
        device_id=entry.device_id,
        uid=described.uid,
        reason=entry.reason,
        score=score,
        score_reasons=reasons,
        opened_at=entry.at,
        due_at=described.ends_at if kind == AttentionKind.APPROVAL else None,
    )
