"""SQL of the audit log: the function that its triggers call, and what keeps it whole.

The function runs as its owner with a fixed search path, so that a role that may change
a device need not be able to write the log. django-pgtrigger and django-pghistory make
functions without these two, and pghistory a table and a trigger for each model.
"""

# Of version 7, as the ids that Python makes: sorted by time in an index.
UUID7 = """
CREATE FUNCTION registry_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $body$
    SELECT encode(set_bit(set_bit(overlay(
        uuid_send(gen_random_uuid()) PLACING substring(
            int8send(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3
        ) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$body$;
"""

SHOWN = """
CREATE FUNCTION registry_audit_shown(given jsonb, secrets text[]) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT AS $body$
    SELECT COALESCE(jsonb_object_agg(key, CASE
        WHEN key = ANY(secrets) AND value NOT IN ('null', '""') THEN '"(not shown)"'
        ELSE value END), '{}')
    FROM jsonb_each(given)
$body$;
CREATE FUNCTION registry_audit_moved(given jsonb, other jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE STRICT AS $body$
    SELECT COALESCE(jsonb_object_agg(key, value), '{}')
    FROM jsonb_each(given) WHERE value IS DISTINCT FROM other -> key
$body$;
"""

# OFFSET 0 keeps the planner from copying to_jsonb(r) to each place that reads the row.
_CREATED = """
        SELECT c.row, NULL::jsonb AS before, c.row - hidden AS after
        FROM (SELECT to_jsonb(r) AS row FROM new_rows r OFFSET 0) c"""
_DELETED = """
        SELECT c.row, c.row - hidden AS before, NULL::jsonb AS after
        FROM (SELECT to_jsonb(r) AS row FROM old_rows r OFFSET 0) c"""
# A row that goes to another tenant is told to both, to each its own side.
_CHANGED = """
        SELECT side.row, side.before, side.after
        FROM (SELECT to_jsonb(r) AS row FROM old_rows r OFFSET 0) o
        JOIN (SELECT to_jsonb(r) AS row FROM new_rows r OFFSET 0) n
            ON n.row ->> TG_ARGV[1] = o.row ->> TG_ARGV[1]
        CROSS JOIN LATERAL (SELECT
            registry_audit_moved(o.row - ignored, n.row) AS before,
            registry_audit_moved(n.row - ignored, o.row) AS after) moved
        CROSS JOIN LATERAL (
            SELECT n.row, moved.before, moved.after
            WHERE o.row -> 'tenant_id' IS NOT DISTINCT FROM n.row -> 'tenant_id'
            UNION ALL SELECT o.row, moved.before, '{}'::jsonb
            WHERE o.row -> 'tenant_id' IS DISTINCT FROM n.row -> 'tenant_id'
            UNION ALL SELECT n.row, '{}'::jsonb, moved.after
            WHERE o.row -> 'tenant_id' IS DISTINCT FROM n.row -> 'tenant_id'
        ) side
        WHERE o.row - ignored <> n.row - ignored"""


def _record(action: str, rows: str) -> str:
    return f"""
    INSERT INTO registry_auditentry (
        public_id, at, tenant_id, kind, object_id, object_name, action, before, after,
        user_id, actor, token_id, token_name, door, device_id, site_id, project_id)
    SELECT (left(seed, 15) || left(found.hash, 3) || '-8' || substr(found.hash, 4, 3)
            || '-' || substr(found.hash, 7, 12))::uuid,
        now(), COALESCE(own.tenant_id, d.tenant_id), TG_ARGV[0],
        COALESCE(found.row ->> 'public_id', d.public_id::text, found.row ->> TG_ARGV[1]),
        left(COALESCE(found.row ->> 'uid', found.row ->> 'slug',
            found.row ->> 'username', found.row ->> 'name', found.row ->> 'code',
            d.uid, u.username, found.row ->> 'prefix', found.row ->> 'version', ''), 200),
        '{action}',
        CASE secrets WHEN '{{}}' THEN found.before
            ELSE registry_audit_shown(found.before, secrets) END,
        CASE secrets WHEN '{{}}' THEN found.after
            ELSE registry_audit_shown(found.after, secrets) END,
        by_user, actor_name, by_token, by_token_name, through,
        own.device_id, COALESCE(own.site_id, d.site_id),
        COALESCE(own.project_id, d.project_id)
    FROM (SELECT each.*, md5(seed || row_number() OVER ()) AS hash FROM ({rows}
    ) AS each) found
    CROSS JOIN LATERAL (SELECT
        (CASE TG_TABLE_NAME WHEN 'registry_tenant' THEN found.row ->> 'id'
            ELSE found.row ->> 'tenant_id' END)::bigint AS tenant_id,
        (CASE TG_TABLE_NAME WHEN 'registry_device' THEN found.row ->> 'id'
            ELSE found.row ->> 'device_id' END)::bigint AS device_id,
        (CASE TG_TABLE_NAME WHEN 'registry_site' THEN found.row ->> 'id'
            ELSE found.row ->> 'site_id' END)::bigint AS site_id,
        (CASE TG_TABLE_NAME WHEN 'registry_project' THEN found.row ->> 'id'
            ELSE found.row ->> 'project_id' END)::bigint AS project_id) own
    LEFT JOIN registry_device d ON d.id = (found.row ->> 'device_id')::bigint
    LEFT JOIN registry_user u ON u.id = (found.row ->> 'user_id')::bigint;"""


FUNCTION = f"""
CREATE FUNCTION registry_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
DECLARE
    by_user bigint := NULLIF(current_setting('iot.user_id', true), '');
    by_token bigint := NULLIF(current_setting('iot.token_id', true), '');
    through text := COALESCE(current_setting('iot.door', true), '');
    secrets text[] := TG_ARGV[2];
    ignored text[] := TG_ARGV[3];
    hidden text[] := ignored || ARRAY['id', 'public_id'];
    actor_name text;
    by_token_name text;
    seed text;
BEGIN
    -- Not a person's: a message, a sweep.
    IF by_user IS NULL AND by_token IS NULL AND through <> 'command' THEN
        RETURN NULL;
    END IF;
    -- Randomness is dear: for each row, it would be a tenth of an import's time.
    seed := registry_uuid7()::text;
    actor_name := COALESCE((SELECT username FROM registry_user WHERE id = by_user), '');
    by_token_name := COALESCE(
        (SELECT name FROM registry_apitoken WHERE id = by_token), '');
    IF TG_OP = 'INSERT' THEN {_record("created", _CREATED)}
    ELSIF TG_OP = 'UPDATE' THEN {_record("changed", _CHANGED)}
    ELSE {_record("deleted", _DELETED)}
    END IF;
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION registry_audit() FROM PUBLIC;
"""

# ALWAYS: not even a session that replays a replica's rows gets past them.
APPEND_ONLY = """
CREATE FUNCTION registry_audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $body$;
CREATE TRIGGER registry_audit_keep BEFORE UPDATE OR DELETE ON registry_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION registry_audit_refuse();
CREATE TRIGGER registry_audit_keep_all BEFORE TRUNCATE ON registry_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION registry_audit_refuse();
ALTER TABLE registry_auditentry
    ENABLE ALWAYS TRIGGER registry_audit_keep,
    ENABLE ALWAYS TRIGGER registry_audit_keep_all;
REVOKE ALL ON registry_auditentry FROM iot_web;
GRANT SELECT ON registry_auditentry TO iot_web;
REVOKE ALL ON SEQUENCE registry_auditentry_id_seq FROM iot_web;
"""

CREATE = UUID7 + SHOWN + FUNCTION + APPEND_ONLY
DROP = """
DROP TRIGGER IF EXISTS registry_audit_keep ON registry_auditentry;
DROP TRIGGER IF EXISTS registry_audit_keep_all ON registry_auditentry;
DROP FUNCTION IF EXISTS registry_audit_refuse();
DROP FUNCTION IF EXISTS registry_audit();
DROP FUNCTION IF EXISTS registry_audit_moved(jsonb, jsonb);
DROP FUNCTION IF EXISTS registry_audit_shown(jsonb, text[]);
DROP FUNCTION IF EXISTS registry_uuid7();
"""
