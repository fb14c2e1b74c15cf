"""SQL of the table that keeps what devices were before, and of its trigger.

A statement trigger with transition tables: one INSERT … SELECT a statement, whoever
wrote it. Its function runs as its owner with a fixed search path, so that a role that
may change a device need not be able to write the past.
"""

PAST = "registry_pastdevice"
COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    project_id bigint,
    site_id bigint,
    site_slug varchar(64) NOT NULL,
    lifecycle varchar(16) NOT NULL,
    until timestamptz NOT NULL
"""
INDEX = f"CREATE INDEX {PAST}_by_device ON {PAST} (device_id, until);"

# The time that the writer gave, as in the log of lifecycle moves; raw SQL gives none.
CREATE = f"""
CREATE FUNCTION {PAST}_keep() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    INSERT INTO {PAST} (tenant_id, device_id, project_id, site_id, site_slug,
        lifecycle, until)
    SELECT side.*, CASE
        WHEN n.updated_at > o.updated_at AND n.updated_at <= clock_timestamp()
        THEN n.updated_at ELSE clock_timestamp() END
    FROM old_rows o JOIN new_rows n ON n.id = o.id
    LEFT JOIN registry_site s ON s.id = o.site_id
    CROSS JOIN LATERAL (
        SELECT o.tenant_id, o.id, o.project_id, o.site_id, coalesce(s.slug, ''),
            o.lifecycle
        UNION ALL
        SELECT n.tenant_id, n.id, NULL, NULL, '', ''
        WHERE n.tenant_id <> o.tenant_id
    ) side
    WHERE (n.tenant_id, n.project_id, n.site_id, n.lifecycle)
        IS DISTINCT FROM (o.tenant_id, o.project_id, o.site_id, o.lifecycle);
    RETURN NULL;
END $body$;
REVOKE ALL ON FUNCTION {PAST}_keep() FROM PUBLIC;
CREATE TRIGGER {PAST}_keep AFTER UPDATE ON registry_device
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION {PAST}_keep();
"""
DROP = f"""
DROP TRIGGER IF EXISTS {PAST}_keep ON registry_device;
DROP FUNCTION IF EXISTS {PAST}_keep();
"""
