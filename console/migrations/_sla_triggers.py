"""SQL of the triggers that say which days of the SLA report are to be counted again.

What comes in time changes the days that are counted anyway: the running one, and those
that ended less than two hours ago (``console.services.sla_days``). So only evidence
about a time that is over for an hour is written down, a row for each place of a
statement. The functions run as their owner with a fixed search path: who may write
the evidence need not be able to write a table of the console.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evidence:
    """A table of evidence, and what its rows c concern: SELECTs of place and time."""

    table: str
    inserted: str = ""
    updated: str = ""  # n is the new row, o the old one
    deleted: str = ""

    def create(self) -> str:
        """Return the SQL that makes the functions and triggers."""
        return "\n".join(
            self._trigger(event, found, tables)
            for event, found, tables in (
                ("insert", self.inserted, "NEW TABLE AS new_rows"),
                (
                    "update",
                    self.updated,
                    "OLD TABLE AS old_rows NEW TABLE AS new_rows",
                ),
                ("delete", self.deleted, "OLD TABLE AS old_rows"),
            )
            if found
        )

    def drop(self) -> str:
        """Return the SQL that removes them."""
        return "\n".join(
            f"DROP TRIGGER IF EXISTS console_sla_{event} ON {self.table};"
            f" DROP FUNCTION IF EXISTS {self._function(event)}();"
            for event in ("insert", "update", "delete")
        )

    def _function(self, event: str) -> str:
        return f"console_sla_{self.table}_{event}"

    def _trigger(self, event: str, found: str, tables: str) -> str:
        return f"""
CREATE FUNCTION {self._function(event)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    INSERT INTO console_slarecount (tenant_id, site_id, project_id, from_at, until)
    SELECT tenant_id, site_id, project_id, min(from_at), max(until) FROM ({found}) found
        (tenant_id, site_id, project_id, from_at, until)
    WHERE from_at < now() - interval '1 hour'
    GROUP BY tenant_id, site_id, project_id;
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {self._function(event)}() FROM PUBLIC;
CREATE TRIGGER console_sla_{event} AFTER {event.upper()} ON {self.table}
    REFERENCING {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION {self._function(event)}();"""


def _log(table: str) -> Evidence:
    """A log: a late row changes also what was before it, which it names."""
    return Evidence(
        table,
        inserted="SELECT d.tenant_id, d.site_id, d.project_id, d.created_at, now()"
        " FROM new_rows c JOIN registry_device d ON d.id = c.device_id"
        " WHERE c.at < now() - interval '1 hour'",
    )


def _spans(table: str, begin: str, *places: str) -> Evidence:
    """Times with an end: what changes is from the earlier bound to the later one."""
    begins = f"n.{begin} <> o.{begin}"
    changed = (
        f"(SELECT n.*, CASE WHEN {begins} THEN least(o.{begin}, n.{begin})"
        " ELSE least(o.until, n.until) END AS changed_from,"
        " greatest(coalesce(o.until, now()), coalesce(n.until, now()))"
        " AS changed_until FROM new_rows n JOIN old_rows o ON o.id = n.id"
        f" WHERE {begins} OR n.until IS DISTINCT FROM o.until)"
    )
    own = f"c.{begin}, coalesce(c.until, now())"

    def of(rows: str, span: str) -> str:
        return " UNION ALL ".join(
            f"SELECT d.tenant_id, d.site_id, d.project_id, {span}"
            f" FROM {rows} c JOIN registry_device d ON {place}"
            for place in places
        )

    return Evidence(
        table,
        inserted=of("new_rows", own),
        updated=of(changed, "c.changed_from, c.changed_until"),
        deleted=of("old_rows", own),
    )


_AT = "tenant_id, site_id, project_id"
EVIDENCE = (
    _log("state_connectivitytransition"),
    _log("registry_lifecyclemove"),
    _spans(
        "state_maintenanceplace",
        "from_at",
        "d.id = c.device_id",
        "d.site_id = c.site_id",
    ),
    _spans("console_incidentmember", "since", "d.id = c.device_id"),
    Evidence(
        "registry_device",
        inserted=f"SELECT {_AT}, created_at, now() FROM new_rows",
        updated="""
            SELECT place.*, least(o.created_at, n.created_at), now()
            FROM new_rows n JOIN old_rows o ON o.id = n.id
            CROSS JOIN LATERAL (VALUES (n.tenant_id, n.site_id, n.project_id),
                (o.tenant_id, o.site_id, o.project_id)) AS place
            WHERE (n.tenant_id, n.site_id, n.project_id, n.created_at)
                IS DISTINCT FROM (o.tenant_id, o.site_id, o.project_id, o.created_at)
        """,
        deleted=f"SELECT {_AT}, created_at, now() FROM old_rows",
    ),
    # Its days begin at other moments.
    Evidence(
        "registry_site",
        updated="""
            SELECT d.tenant_id, d.site_id, d.project_id, d.created_at,
                now()
            FROM new_rows n JOIN old_rows o ON o.id = n.id
            JOIN registry_device d ON d.site_id = n.id
            WHERE n.time_zone <> o.time_zone
        """,
    ),
)
