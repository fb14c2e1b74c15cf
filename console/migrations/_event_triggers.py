"""SQL of the triggers that write outgoing events in the transaction of what happened.

Statement triggers with transition tables: one INSERT … SELECT a statement, and nothing
while no tenant of it has a webhook. The functions run as their owner with a fixed
search path: the bridge may write an alarm, and no table of the console.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A history whose new rows n are events."""

    name: str
    table: str
    order_key: str
    type: str
    subject: str
    data: str
    device: str = "n.device_id"
    joins: str = ""

    def create(self) -> str:
        """Return the SQL that makes the function and its trigger."""
        function = f"console_event_of_{self.name}"
        return f"""
CREATE FUNCTION {function}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    IF NOT EXISTS (SELECT FROM console_webhook WHERE is_enabled) THEN
        RETURN NULL;
    END IF;
    INSERT INTO console_outgoingevent
        (tenant_id, device_id, order_key, type, subject, at, data)
    SELECT n.tenant_id, {self.device}, {self.order_key}, {self.type}, {self.subject},
        n.at, jsonb_strip_nulls(jsonb_build_object({self.data}))
    FROM new_rows n {self.joins}
    WHERE EXISTS (SELECT FROM console_webhook w
        WHERE w.tenant_id = n.tenant_id AND w.is_enabled)
    ORDER BY n.id;
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {function}() FROM PUBLIC;
CREATE TRIGGER console_event AFTER INSERT ON {self.table}
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {function}();"""

    def drop(self) -> str:
        """Return the SQL that removes them."""
        return (
            f"DROP TRIGGER IF EXISTS console_event ON {self.table};"
            f" DROP FUNCTION IF EXISTS console_event_of_{self.name}();"
        )


_DEVICE = "'device:' || n.device_id"
_OF_DEVICE = (
    "JOIN registry_device d ON d.id = n.device_id"
    " JOIN registry_site s ON s.id = d.site_id"
)
SOURCES = (
    Source(
        name="command",
        table="commands_commandevent",
        order_key=_DEVICE,
        type="'command.' || n.status",
        subject="d.uid",
        joins=f"{_OF_DEVICE} JOIN commands_command c ON c.id = n.command_id",
        data="'device', d.uid, 'site', s.slug, 'command', c.public_id, 'name', c.name,"
        " 'status', n.status, 'failure_class', nullif(c.failure_class, ''),"
        " 'cause', n.cause, 'actor', n.actor",
    ),
    Source(
        name="job",
        table="commands_jobevent",
        device="NULL::bigint",
        order_key="'job:' || n.job_id",
        type="'job.' || n.status",
        subject="j.public_id::text",
        joins="JOIN commands_job j ON j.id = n.job_id",
        data="'job', j.public_id, 'name', j.name, 'status', n.status, 'cause', n.cause,"
        " 'actor', n.actor",
    ),
    Source(
        name="alarm",
        table="state_alarmchange",
        order_key=_DEVICE,
        type="'alarm.' || n.move",
        subject="d.uid",
        joins=f"{_OF_DEVICE} JOIN state_alarm a ON a.id = n.alarm_id",
        data="'device', d.uid, 'site', s.slug, 'alarm', a.public_id, 'code', n.code,"
        " 'severity', n.severity, 'move', n.move, 'reason', n.reason,"
        " 'count', n.count, 'message', nullif(n.message, '')",
    ),
    Source(
        name="connectivity",
        table="state_connectivitytransition",
        order_key=_DEVICE,
        type="'connectivity.' || n.moved_to",
        subject="d.uid",
        joins=_OF_DEVICE,
        data="'device', d.uid, 'site', s.slug, 'from', n.moved_from, 'to', n.moved_to,"
        " 'cause', nullif(n.cause, '')",
    ),
    Source(
        name="incident",
        table="console_incidentevent",
        device="CASE WHEN i.object_kind = 'device' THEN (SELECT d.id FROM"
        " registry_device d WHERE d.uid = i.object_id AND d.tenant_id = i.tenant_id)"
        " END",
        order_key="'incident:' || n.incident_id",
        type="'incident.' || n.kind",
        subject="i.public_id::text",
        joins="JOIN console_incident i ON i.id = n.incident_id",
        data="'incident', i.public_id, 'number', i.number, 'title', i.title,"
        " 'severity', i.severity, 'status', i.status, 'cause', i.cause,"
        " 'object', jsonb_build_object('kind', i.object_kind, 'id', i.object_id,"
        " 'name', i.object_name), 'devices', i.device_count,"
        " 'text', nullif(n.text, '')",
    ),
)
