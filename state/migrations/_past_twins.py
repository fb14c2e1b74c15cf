"""SQL of the table that keeps what twins reported before, and of its triggers.

Statement triggers with transition tables, as in ``registry/migrations/_past_devices``.
"""

PAST = "state_pasttwin"
COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    firmware varchar(64) NOT NULL,
    config_version varchar(64) NOT NULL,
    until timestamptz NOT NULL
"""
INDEX = f"CREATE INDEX {PAST}_by_device ON {PAST} (device_id, until);"
INTO = f"INSERT INTO {PAST} (tenant_id, device_id, firmware, config_version, until)"
# A twin without versions is as none.
HAS_VERSIONS = "(c.firmware, c.config_version) <> ('', '')"

# The time of the report, as its change log has it, or of the reset for a new tenant; raw
# SQL gives none.
ROWS = {
    "insert": (
        "NEW TABLE AS new_rows",
        f"""SELECT c.tenant_id, c.device_id, '', '',
        least(c.reported_at, clock_timestamp())
    FROM new_rows c WHERE {HAS_VERSIONS}""",
    ),
    "update": (
        "OLD TABLE AS old_rows NEW TABLE AS new_rows",
        """SELECT o.tenant_id, o.device_id, o.firmware, o.config_version,
        least(clock_timestamp(), CASE
            WHEN n.tenant_id = o.tenant_id AND o.reported_at IS NULL
                OR n.reported_at > o.reported_at THEN n.reported_at
            WHEN n.tenant_id <> o.tenant_id
                AND n.desired_at IS DISTINCT FROM o.desired_at THEN n.desired_at
        END)
    FROM old_rows o JOIN new_rows n ON n.device_id = o.device_id
    WHERE (n.tenant_id, n.firmware, n.config_version)
        IS DISTINCT FROM (o.tenant_id, o.firmware, o.config_version)""",
    ),
    "delete": (
        "OLD TABLE AS old_rows",
        f"""SELECT c.tenant_id, c.device_id, c.firmware, c.config_version,
        clock_timestamp()
    FROM old_rows c WHERE {HAS_VERSIONS}""",
    ),
}


def _create(event: str, tables: str, rows: str) -> str:
    name = f"{PAST}_{event}"
    return f"""
CREATE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    {INTO}
    {rows};
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {name}() FROM PUBLIC;
CREATE TRIGGER {name} AFTER {event.upper()} ON state_twin REFERENCING {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION {name}();
"""


CREATE = "".join(_create(event, *parts) for event, parts in ROWS.items())
DROP = "".join(
    f"DROP TRIGGER IF EXISTS {PAST}_{event} ON state_twin;"
    f"DROP FUNCTION IF EXISTS {PAST}_{event}();"
    for event in ROWS
)
# Where there are devices already, nobody knows in full what they were before.
START = """
    INSERT INTO state_paststart (at)
    SELECT clock_timestamp() WHERE EXISTS (SELECT FROM registry_device)
"""
