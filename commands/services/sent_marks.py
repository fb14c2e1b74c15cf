"""Mark commands as sent by one statement: most of a batch wait for nothing else."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from commands.choices import AttemptOutcome
from iotplatform.common import bulk_sql

# Stopped too: it was cancelled while the adapter published it.
UNPUBLISHED = (AttemptOutcome.CLAIMED, AttemptOutcome.STOPPED)

# Those that are left out need a look at their device: configuration, which may wait
# for it, what a report can verify, and what the device has answered already.
_MARK = """
    WITH waiting AS MATERIALIZED (
        SELECT id FROM commands_command
        WHERE public_id = ANY(%s::uuid[]) AND claim_token = ANY(%s::uuid[])
            AND status = 'queued' AND command_class <> 'config'
            AND expectation IS NULL AND clock_stopped_at IS NULL
        ORDER BY id
        FOR UPDATE
    ), marked AS (
        UPDATE commands_command
        SET status = 'sent', status_since = now.at, failure_class = '', waits_for = '',
            sent_at = coalesce(sent_at, now.at), claimed_until = NULL,
            due_at = least(expires_at, now.at + make_interval(
                secs => (policy ->> 'receive_timeout_seconds')::float8))
        FROM (SELECT %s::timestamptz AS at) now
        WHERE id = ANY(ARRAY(SELECT id FROM waiting))
        RETURNING id, public_id, tenant_id, device_id, attempt_count, now.at
    ), told AS (
        INSERT INTO commands_commandevent
            (tenant_id, device_id, command_id, at, status, actor, cause)
        SELECT tenant_id, device_id, id, at, 'sent', 'platform',
            'sent, attempt ' || attempt_count
        FROM marked ORDER BY id
    ), attempts AS (
        UPDATE commands_attempt a
        SET sent_at = coalesce(a.sent_at, %s),
            outcome = CASE WHEN a.outcome = ANY(%s::text[]) THEN 'sent'
                ELSE a.outcome END
        WHERE a.id = ANY(ARRAY(
            SELECT k.id FROM marked m
            CROSS JOIN LATERAL (
                SELECT id FROM commands_attempt
                WHERE command_id = m.id AND number = m.attempt_count OFFSET 0
            ) k
        ))
    )
    SELECT public_id FROM marked
"""


def mark_waiting(claims: Collection[tuple[UUID, UUID]], *, at: datetime) -> set[UUID]:
    """Mark those that wait for nothing but the publish; return their ids."""
    if not claims:
        return set()
    ids = [str(public_id) for public_id, _ in claims]
    tokens = [str(token) for _, token in claims]
    outcomes = [str(outcome) for outcome in UNPUBLISHED]
    rows = bulk_sql.fetch(_MARK, [ids, tokens, at, at, outcomes])
    return {public_id for (public_id,) in rows}
