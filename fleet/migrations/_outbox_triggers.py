"""SQL of the outbox triggers: which columns of which table are in a document.

Statement triggers with transition tables: one INSERT … SELECT a statement, whoever
wrote it. An UPDATE compares old and new rows on the document's columns only, so that a
heartbeat writes nothing here. The functions run as their owner with a fixed search
path: a role that may write a device need not be able to write the outbox.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

OUTBOX = """INSERT INTO fleet_outbox (device_id, at)
    SELECT DISTINCT found.device_id, clock_timestamp()
    FROM ({devices}) found;"""
# A statement that changes more devices than a batch of messages waits for the others.
MOST_SINGLES = 2_000
OUTBOX_OF_LANES = f"""INSERT INTO fleet_outbox (device_id, at, lane)
    SELECT found.device_id, clock_timestamp(),
        (count(*) OVER () > {MOST_SINGLES})::int
    FROM (SELECT DISTINCT every.device_id FROM ({{devices}}) every) found;"""


@dataclass(frozen=True)
class Watched:
    """A table whose rows are in documents."""

    table: str
    key: str  # its primary key
    devices: str  # SELECT … of the device ids of the rows c; {c} is the changed rows
    changed: str  # what tells that a row n differs from its old row o in a document
    # A new row concerns devices at once; a new site has none yet.
    inserts: bool = True
    counts: str = ""  # which of the inserted and deleted rows are in a document
    join: str = ""  # what `changed` needs besides the rows
    outbox: str = ""  # how the devices are put into the outbox

    def create(self) -> str:
        """Return the SQL that makes the functions and triggers."""
        return "\n".join(self._parts())

    def _parts(self) -> list[str]:
        updated = (
            "(SELECT n.* FROM new_rows n"
            f" JOIN old_rows o ON o.{self.key} = n.{self.key}"
            f" {self.join} WHERE {self.changed})"
        )
        parts = [
            self._trigger(
                "update", updated, "OLD TABLE AS old_rows NEW TABLE AS new_rows"
            )
        ]
        if self.inserts:
            for event, rows in (("insert", "new"), ("delete", "old")):
                table = f"{rows}_rows"
                counted = f"(SELECT * FROM {table} WHERE {self.counts})"
                parts.append(
                    self._trigger(
                        event,
                        counted if self.counts else table,
                        f"{rows.upper()} TABLE AS {table}",
                    )
                )
        return parts

    def drop(self) -> str:
        """Return the SQL that removes them."""
        events = ["update", *(["insert", "delete"] if self.inserts else [])]
        return "\n".join(
            f"DROP TRIGGER IF EXISTS fleet_outbox_{event} ON {self.table};"
            f" DROP FUNCTION IF EXISTS {self._function(event)}();"
            for event in events
        )

    def replace_functions(self, outbox: str) -> str:
        """Return the SQL that lets the functions fill the outbox in this way."""
        return "\n".join(
            f"CREATE OR REPLACE{part.split('CREATE', 1)[1].split('REVOKE', 1)[0]}"
            for part in replace(self, outbox=outbox)._parts()
        )

    def _function(self, event: str) -> str:
        return f"fleet_outbox_{self.table}_{event}"

    def _trigger(self, event: str, rows: str, tables: str) -> str:
        return f"""
CREATE FUNCTION {self._function(event)}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    {(self.outbox or OUTBOX).format(devices=self.devices.format(c=f"{rows} c"))}
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {self._function(event)}() FROM PUBLIC;
CREATE TRIGGER fleet_outbox_{event} AFTER {event.upper()} ON {self.table}
    REFERENCING {tables}
    FOR EACH STATEMENT EXECUTE FUNCTION {self._function(event)}();"""


def differs(*columns: str) -> str:
    """Return the condition that one of these columns moved."""
    new = ", ".join(f"n.{column}" for column in columns)
    old = ", ".join(f"o.{column}" for column in columns)
    return (
        f"({new}) IS DISTINCT FROM ({old})"
        if len(columns) > 1
        else (f"{new} IS DISTINCT FROM {old}")
    )


OWN = "SELECT c.device_id FROM {c}"


def devices_by(column: str) -> str:
    """Return the devices that refer to the changed rows by this column."""
    return (
        "SELECT d.id AS device_id FROM {c}"
        f" JOIN registry_device d ON d.{column} = c.id"
    )


REPORTED_KEY_MOVED = """EXISTS (
    SELECT 1 FROM jsonb_array_elements_text(p.reported_keys) AS k(key)
    WHERE COALESCE(n.reported #> string_to_array(k.key, '.'), n.reported -> k.key)
        IS DISTINCT FROM
        COALESCE(o.reported #> string_to_array(k.key, '.'), o.reported -> k.key))"""

OF_DEVICE = (
    *("uid", "tenant_id", "project_id", "site_id", "product_id", "name", "serial"),
    *("kind", "gateway_id", "adapter", "lifecycle", "tags", "attributes"),
)


def _device(*columns: str) -> Watched:
    return Watched(
        "registry_device",
        "id",
        # A child's document shows its gateway's uid.
        "SELECT c.id AS device_id FROM {c} UNION"
        " SELECT d.id FROM {c} JOIN registry_device d ON d.gateway_id = c.id",
        differs(*columns),
    )


FIRST_DEVICE = _device(*OF_DEVICE)
WATCHED = (
    FIRST_DEVICE,
    Watched(
        "registry_tenant", "id", devices_by("tenant_id"), differs("slug"), inserts=False
    ),
    Watched(
        "registry_project",
        "id",
        devices_by("project_id"),
        differs("slug"),
        inserts=False,
    ),
    Watched(
        "registry_site",
        "id",
        devices_by("site_id"),
        differs("slug", "region"),
        inserts=False,
    ),
    Watched(
        "registry_product",
        "id",
        devices_by("product_id"),
        differs("slug", "name", "attributes_schema", "metrics", "reported_keys"),
        inserts=False,
    ),
    Watched(
        "state_presence",
        "device_id",
        OWN,
        differs("connectivity", "cause", "since", "disconnects_72h", "activity_bucket"),
    ),
    Watched(
        "state_twin",
        "device_id",
        OWN,
        differs("firmware", "config_version")
        # Whether there is a difference is in the document, not which.
        + " OR (n.delta = '{}') <> (o.delta = '{}')"
        + f" OR n.reported IS DISTINCT FROM o.reported AND {REPORTED_KEY_MOVED}",
        join="JOIN registry_device d ON d.id = n.device_id"
        " JOIN registry_product p ON p.id = d.product_id",
    ),
    Watched("state_telemetrysummary", "device_id", OWN, differs("indexed")),
    Watched(
        "state_alarm",
        "id",
        OWN,
        differs("device_id", "severity", "state", "code", "raised_at"),
    ),
    Watched(
        "commands_command",
        "id",
        OWN,
        differs("status", "failure_class", "sent_at", "received_at", "ended_at"),
    ),
)

# Later than the first ones: their tables came later.
RISK = Watched(
    "state_risk",
    "device_id",
    OWN,
    differs("score")
    # The names of the reasons are in the document, not their words.
    + " OR jsonb_path_query_array(n.reasons, '$[*].name')"
    " <> jsonb_path_query_array(o.reasons, '$[*].name')",
)

DEVICE = _device(*OF_DEVICE, "space_id", "hardware_revision_id", "batch_id")
PLACES = (
    Watched(
        "registry_space",
        "id",
        # A path is made of the slugs above, so it concerns everything below.
        "SELECT d.id AS device_id FROM {c} JOIN registry_space s ON s.path <@ c.path"
        " JOIN registry_device d ON d.space_id = s.id",
        differs("slug", "path"),
        inserts=False,
    ),
    Watched(
        "registry_hardwarerevision",
        "id",
        devices_by("hardware_revision_id"),
        differs("slug"),
        inserts=False,
    ),
    Watched(
        "registry_batch", "id", devices_by("batch_id"), differs("slug"), inserts=False
    ),
)

# The points of these reasons add up to the heartbeat risk; an equal score may hide that
# they moved.
HEARTBEAT_POINTS = (
    'jsonb_path_query_array({row}.reasons, \'$[*] ? (@.name == "flapping"'
    ' || @.name == "offline" || @.name == "stale").points\')'
)
HEARTBEAT_RISK = replace(
    RISK,
    changed=f"{RISK.changed} OR {HEARTBEAT_POINTS.format(row='n')}"
    f" <> {HEARTBEAT_POINTS.format(row='o')}",
)
MAINTENANCE = Watched(
    "state_maintenanceplace",
    "id",
    "SELECT c.device_id FROM {c} WHERE c.device_id IS NOT NULL UNION"
    " SELECT d.id FROM {c} JOIN registry_device d ON d.site_id = c.site_id",
    differs("is_in_force"),
    counts="is_in_force",
)

CURRENT = (
    *(watched for watched in WATCHED if watched is not FIRST_DEVICE),
    *(DEVICE, *PLACES, HEARTBEAT_RISK, MAINTENANCE),
)

CREATE = "\n".join(watched.create() for watched in WATCHED)
DROP = "\n".join(watched.drop() for watched in WATCHED)

# The table is short-lived rows and nothing else: clean it by count, not by share.
TUNE = """
ALTER TABLE fleet_outbox SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000
);
"""
