"""Reset the state of a device for its new tenant; the past stays with the old one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection, transaction

from registry.models import Device

# In the order in which all code locks these tables. Rows of the present are emptied,
# not deleted: a running batch writes into the row that it finds. The desired version
# keeps counting, because a device ignores one that is older than its last.
_ANEW = (
    # The old owner's last transition: their past ends with it.
    """WITH old AS (
            SELECT * FROM state_presence WHERE device_id = %(device)s FOR UPDATE
        )
        INSERT INTO state_connectivitytransition (tenant_id, device_id, at, moved_from,
            moved_to, cause, cause_from, session, is_abnormal)
        SELECT tenant_id, device_id, %(at)s, connectivity, 'offline', 'never_connected',
            cause, session, false
        FROM old WHERE (connectivity, cause) <> ('offline', 'never_connected')""",
    """UPDATE state_presence SET tenant_id = %(tenant)s, connectivity = 'offline',
        cause = 'never_connected', since = %(at)s, last_seen_at = NULL,
        last_activity_at = NULL, session = '', session_seq = NULL, boot = NULL,
        seq_high = NULL, seq_window = 0, repeats = 0, heartbeat_seconds = NULL,
        sleeping_until = NULL, left_how = '', left_session = '', left_at = NULL,
        waiting_how = '', waiting_session = '', waiting_at = NULL,
        clock_skew = false, next_change_at = NULL, disconnects_72h = 0,
        recount_at = NULL, activity_bucket = NULL
        WHERE device_id = %(device)s""",
    "DELETE FROM state_expecteddisconnect WHERE device_id = %(device)s",
    """UPDATE state_twin SET tenant_id = %(tenant)s, desired = '{}',
        desired_version = desired_version + 1, desired_at = %(at)s, desired_asks = '{}',
        reported = '{}',
        reported_version = 0, reported_boot = NULL, reported_session = '',
        reported_at = NULL, delta = '{}', firmware = '', config_version = ''
        WHERE device_id = %(device)s""",
    """UPDATE state_telemetrysummary SET tenant_id = %(tenant)s, latest = '{}',
        indexed = '{}', updated_at = NULL WHERE device_id = %(device)s""",
    # A bucket that is still open would get values of the new owner.
    """DELETE FROM state_telemetryrollup WHERE device_id = %(device)s
        AND at + step * interval '1 second' > %(at)s""",
    """WITH ended AS (
            UPDATE state_alarm SET state = 'cleared', cleared_at = %(at)s,
                settles_at = NULL
            WHERE device_id = %(device)s AND state <> 'cleared' RETURNING *
        )
        INSERT INTO state_alarmchange (tenant_id, device_id, alarm_id, at, move, reason,
            code, severity, count, message)
        SELECT tenant_id, device_id, id, cleared_at, 'cleared', 'handed_over', code,
            severity, count, message FROM ended""",
    "DELETE FROM state_heldalarm WHERE device_id = %(device)s",
    "DELETE FROM state_eventorder WHERE device_id = %(device)s",
    "DELETE FROM state_lastfinding WHERE device_id = %(device)s",
    "DELETE FROM state_risk WHERE device_id = %(device)s",
    "DELETE FROM state_commandtally WHERE device_id = %(device)s",
)


@transaction.atomic
def reset_for_new_tenant(device: Device, *, at: datetime) -> None:
    """Give the device's rows to its present tenant, emptied."""
    values: dict[str, Any] = {"tenant": device.tenant_id, "device": device.pk, "at": at}
    with connection.cursor() as cursor:
        for statement in _ANEW:
            cursor.execute(statement, values)
