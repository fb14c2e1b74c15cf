"""SQL of the triggers that mark devices whose risk is to be judged again.

Statement triggers with transition tables, one INSERT … SELECT a statement, whoever
wrote it; an UPDATE compares old and new rows on what risk is made of. Presence and
telemetry have none: they are written with every heartbeat, and mark by themselves.
"""

from __future__ import annotations

BOTH = "OLD TABLE AS old_rows NEW TABLE AS new_rows"
NEW = "NEW TABLE AS new_rows"
OLD = "OLD TABLE AS old_rows"

# Table → event → (transition tables, SELECT of the device ids).
MARKING = {
    "state_alarm": {
        "insert": (NEW, "SELECT device_id FROM new_rows"),
        "delete": (OLD, "SELECT device_id FROM old_rows"),
        "update": (
            BOTH,
            "SELECT n.device_id FROM new_rows n JOIN old_rows o ON o.id = n.id"
            " WHERE n.severity <> o.severity"
            " OR (n.state = 'cleared') <> (o.state = 'cleared')",
        ),
    },
    "state_twin": {
        "insert": (NEW, "SELECT device_id FROM new_rows WHERE delta <> '{}'"),
        "update": (
            BOTH,
            "SELECT n.device_id FROM new_rows n"
            " JOIN old_rows o ON o.device_id = n.device_id"
            " WHERE (n.delta = '{}') <> (o.delta = '{}')"
            " OR n.delta <> '{}' AND n.desired_at IS DISTINCT FROM o.desired_at",
        ),
    },
    "registry_device": {
        "update": (
            BOTH,
            "SELECT n.id FROM new_rows n JOIN old_rows o ON o.id = n.id"
            " WHERE n.lifecycle <> o.lifecycle",
        ),
    },
}


def _create(table: str, event: str, tables: str, devices: str) -> str:
    name = f"state_risk_{table}_{event}"
    return f"""
CREATE FUNCTION {name}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    INSERT INTO state_riskmark (device_id) {devices};
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {name}() FROM PUBLIC;
CREATE TRIGGER state_risk_{event} AFTER {event.upper()} ON {table}
    REFERENCING {tables} FOR EACH STATEMENT EXECUTE FUNCTION {name}();"""


def _drop(table: str, event: str) -> str:
    return (
        f"DROP TRIGGER IF EXISTS state_risk_{event} ON {table};"
        f" DROP FUNCTION IF EXISTS state_risk_{table}_{event}();"
    )


CREATE = "\n".join(
    _create(table, event, *how)
    for table, events in MARKING.items()
    for event, how in events.items()
)
DROP = "\n".join(
    _drop(table, event) for table, events in MARKING.items() for event in events
)
# Short-lived rows and nothing else: clean by count, not by share.
TUNE = """
ALTER TABLE state_riskmark SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
    autovacuum_vacuum_insert_scale_factor = 0,
    autovacuum_vacuum_insert_threshold = 20000
);
"""
# Whatever was heard before this migration is judged after it.
BACKFILL = "INSERT INTO state_riskmark (device_id) SELECT device_id FROM state_presence"
