"""Events become messages: one for each webhook that subscribes to the type."""

from __future__ import annotations

from django.db import transaction

from console.models import OutgoingEvent
from iotplatform.common import bulk_sql

BATCH = 1_000

# One spreader at a time: else a later batch could be committed before an earlier one,
# and a device's events would change their order.
_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('console.spread_events'))"
_SPREAD = """
    INSERT INTO console_notification (public_id, tenant_id, channel, target, device_id,
        type, subject, webhook_id, event_id, order_key, status, due_at, created_at)
    SELECT gen_random_uuid(), e.tenant_id, 'webhook', w.name, e.device_id, e.type,
        e.subject, w.id, e.id, e.order_key, 'pending', now(), now()
    FROM console_outgoingevent e JOIN console_webhook w ON w.tenant_id = e.tenant_id
        AND w.is_enabled AND w.patterns ?|
            ARRAY['*', split_part(e.type, '.', 1) || '.*', e.type]
    WHERE e.id = ANY(%s) ORDER BY e.id, w.id
    ON CONFLICT (webhook_id, event_id) DO NOTHING
"""


@transaction.atomic
def spread_events_across_tenants() -> int:
    """Make the messages of a batch of new events; return how many events."""
    ((is_ours,),) = bulk_sql.fetch(_LOCK)
    if not is_ours:
        return 0
    rows = OutgoingEvent.objects.filter(is_spread=False).order_by("pk")
    ids = list(rows.values_list("pk", flat=True)[:BATCH])
    if ids:
        bulk_sql.run(_SPREAD, [ids])
        OutgoingEvent.objects.filter(pk__in=ids).update(is_spread=True)
    return len(ids)
