"""Row security in the database: roles, policies, grants. ``migrate`` applies it.

By rule, not by list: a table with ``tenant_id`` is secured by that column, a table
without it that refers to secured tables is secured through them, and nobody but the
owner has a right on a table before this ran. So a new table needs no work here, and a
forgotten one is closed.

Roles belong to the server, not to a database: they stay when the database is dropped.
"""

from __future__ import annotations

import json
from typing import Any

from django.db import connection, transaction
from psycopg import sql

READ, WRITE = "SELECT", "SELECT, INSERT, UPDATE, DELETE"
# Role → app (the table's name up to the first underscore) → rights; "*" is any other.
# Rule 7 of the design: message ingest and jobs do not write the registry.
RIGHTS: dict[str, dict[str, str]] = {
    "iot_web": {"*": WRITE},
    "iot_platform": {"*": WRITE},
    "iot_bridge": {"registry": READ, "state": WRITE, "commands": WRITE},
    "iot_worker": {
        "registry": READ,
        "state": WRITE,
        "commands": WRITE,
        "fleet": WRITE,
        "console": WRITE,
    },
    "iot_indexer": {
        "registry": READ,
        "state": READ,
        "commands": READ,
        "fleet": WRITE,
    },
}
ROLES = tuple(RIGHTS)
# Written only by triggers, or by migrate.
ONLY_READ = {
    "registry_auditentry",
    "registry_pastdevice",
    "state_pasttwin",
    "state_paststart",
    "django_migrations",
}
# Rows are added and never changed; old days are dropped as whole partitions.
ONLY_ADDED = {"state_alarmchange"}
WEB_ROLE = "iot_web"
TENANTS = "registry_tenant"
# People read their own memberships before a tenant is chosen.
OWN_ROWS = {"registry_membership": "user_id"}

ROLES_SQL = """
DO $$
DECLARE
    name text;
    options text := CASE WHEN current_setting('server_version_num')::int >= 160000
        THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
BEGIN
    FOREACH name IN ARRAY %(roles)s::text[] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
                EXECUTE format('CREATE ROLE %%I NOLOGIN NOSUPERUSER NOCREATEDB'
                    ' NOCREATEROLE NOBYPASSRLS', name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;  -- the migration of another database made it first
        END;
        -- So that the owner may take a role, but does not have its rights at all times:
        -- the owner is bound by row security as well. If somebody else made the role,
        -- they have granted it, or this GRANT fails and says why.
        IF NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
                WHERE r.rolname = name AND m.member = quote_ident(current_user)::regrole
                AND (to_jsonb(m) ->> 'set_option') IS DISTINCT FROM 'false'
                AND (to_jsonb(m) ->> 'inherit_option') IS DISTINCT FROM 'true') THEN
            EXECUTE format('GRANT %%I TO CURRENT_USER', name) || options;
        END IF;
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %%I', name);
    END LOOP;
END
$$;
"""
FUNCTIONS_SQL = """
CREATE OR REPLACE FUNCTION iot_tenants() RETURNS bigint[]
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
    SELECT coalesce(string_to_array(
        nullif(current_setting('iot.tenants', true), ''), ',')::bigint[], '{}')
$body$;
CREATE OR REPLACE FUNCTION iot_user_id() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
    SELECT nullif(current_setting('iot.user_id', true), '')::bigint
$body$;
-- The owner sees all rows where it acts for another role (in trigger functions) and
-- where it asks for it, as migrate does. Else row security binds it like the web.
CREATE OR REPLACE FUNCTION iot_unwalled() RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $body$
    SELECT session_user <> current_user
        OR current_setting('role') NOT IN ('none', current_user)
        OR coalesce(current_setting('iot.unwalled', true) = 'on', false)
$body$;
-- The worker makes and drops partitions, and owns no table. A partition has no policy
-- of its own, so a query that names it instead of its parent sees no row.
CREATE OR REPLACE FUNCTION iot_make_partition(parent text, day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
DECLARE
    name text := parent || to_char(day, '"_"YYYYMMDD');
    key text := substring(pg_get_partkeydef(to_regclass(quote_ident(parent)))
        FROM '[(](.*)[)]');
    first text := day || 'T00:00:00+00:00';
    next text := day + 1 || 'T00:00:00+00:00';
    of_day text := format('%I >= %L AND %I < %L', key, first, key, next);
    is_needed boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_partitioned_table p
            WHERE p.partrelid = to_regclass(quote_ident(parent))) THEN
        RAISE EXCEPTION '% is not partitioned', parent;
    END IF;
    IF to_regclass(quote_ident(name)) IS NULL THEN
        -- The default partition may have rows of that day, which forbid a partition
        -- of their own: they move there. The lock is the one of CREATE TABLE.
        EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', parent);
        EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %s)', parent, of_day)
            INTO is_needed;
        IF is_needed THEN
            EXECUTE format('CREATE TEMP TABLE iot_moved AS SELECT * FROM %I WHERE %s',
                parent, of_day);
            EXECUTE format('DELETE FROM %I WHERE %s', parent, of_day);
        END IF;
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
            name, parent, first, next);
        IF is_needed THEN
            EXECUTE format('INSERT INTO %I SELECT * FROM iot_moved', parent);
            DROP TABLE pg_temp.iot_moved;
        END IF;
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    END IF;
END $body$;
CREATE OR REPLACE FUNCTION iot_drop_partition(name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    IF name !~ '_[0-9]{8}$' OR NOT EXISTS (SELECT FROM pg_inherits i
            WHERE i.inhrelid = to_regclass(quote_ident(name))) THEN
        RAISE EXCEPTION '% is no partition of a day', name;
    END IF;
    EXECUTE format('DROP TABLE %I', name);
END $body$;
REVOKE ALL ON FUNCTION iot_make_partition(text, date), iot_drop_partition(text)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION iot_make_partition(text, date), iot_drop_partition(text)
    TO iot_worker, iot_platform;
-- Until row security is applied to a new table, only the owner may use it.
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    REVOKE SELECT, INSERT, UPDATE, DELETE ON TABLES FROM iot_web;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE, SELECT ON SEQUENCES TO iot_platform, iot_worker;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO iot_platform, iot_worker;
"""
TABLES_SQL = """
SELECT c.relname, c.relispartition, c.relrowsecurity AND c.relforcerowsecurity,
    EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
        AND a.attname = 'tenant_id' AND NOT a.attisdropped),
    (SELECT coalesce(jsonb_object_agg(p.polname, obj_description(p.oid, 'pg_policy')),
        '{}') FROM pg_policy p WHERE p.polrelid = c.oid),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(
            a.attname, f.confrelid::regclass::text, k.attname
        ) ORDER BY f.conname), '[]')
        FROM pg_constraint f
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
        JOIN pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = f.confkey[1]
        WHERE f.conrelid = c.oid AND f.contype = 'f')
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
ORDER BY c.relname
"""
IN_SCOPE = "{column} = ANY ((SELECT iot_tenants())::bigint[])"


class Table:
    """A table as the catalogue shows it, with the policies that secure it."""

    def __init__(self, row: tuple[Any, ...]) -> None:
        self.name: str = row[0]
        self.is_partition: bool = row[1]
        self.is_forced: bool = row[2]
        self.has_tenant: bool = row[3]
        self.policies: dict[str, str] = json.loads(row[4])
        self.references: list[list[str]] = json.loads(row[5])

    def condition(self, secured: set[str]) -> str:
        """Return the condition of rows in scope; empty for a table without tenants."""
        if self.name == TENANTS:
            return IN_SCOPE.format(column="id")
        if self.has_tenant:
            return IN_SCOPE.format(column="tenant_id")
        return " AND ".join(
            f"({column} IS NULL OR EXISTS (SELECT FROM {table} parent"
            f" WHERE parent.{key} = {self.name}.{column}))"
            for column, table, key in self.references
            if table in secured and table != self.name
        )

    def policies_wanted(self, condition: str) -> dict[str, str]:
        """Return the policies by name: the SQL that follows the table's name."""
        others = ", ".join(role for role in ROLES if role != WEB_ROLE)
        wanted = {
            "iot_tenant": f"TO {WEB_ROLE} USING ({condition})",
            "iot_owner": "TO CURRENT_USER USING ("
            f"(SELECT iot_unwalled()) OR {condition})",
            "iot_process": f"TO {others} USING ({_all_rows(others)})",
        }
        if column := OWN_ROWS.get(self.name):
            wanted["iot_own"] = (
                f"FOR SELECT TO {WEB_ROLE} USING ({column} = (SELECT iot_user_id()))"
            )
        return wanted


def _all_rows(roles: str) -> str:
    """Return a condition that is true for these roles.

    Before PostgreSQL 16 the policies of every role that the owner may take apply to it.
    """
    connection.ensure_connection()
    if connection.connection.info.server_version >= 160000:
        return "true"
    return f"current_user = ANY ('{{{roles}}}'::name[])"


def prepare_roles() -> None:
    """Make the roles and functions that migrations may use."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(ROLES_SQL, {"roles": list(ROLES)})
        cursor.execute(FUNCTIONS_SQL)


def apply_row_security() -> int:
    """Secure every table; return how many were changed.

    A table that is right already is not touched: changing it waits for a lock.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TABLES_SQL)
        tables = [Table(row) for row in cursor.fetchall()]
        secured = _tables_of_tenants(tables)
        changed = 0
        for table in tables:
            statements = [] if table.is_partition else _grants(cursor, table)
            if table.is_partition or table.name in secured:
                statements += _row_security_of(table, secured)
            for statement in statements:
                cursor.execute(statement)
            changed += bool(statements)
    return changed


def _tables_of_tenants(tables: list[Table]) -> set[str]:
    """Return the names of the tables whose rows belong to a tenant."""
    found: set[str] = {t.name for t in tables if t.has_tenant or t.name == TENANTS}
    while True:
        more = {t.name for t in tables if t.condition(found)} - found
        if not more:
            return found
        found |= more


def _row_security_of(table: Table, secured: set[str]) -> list[str]:
    name = _quoted(table.name)
    statements = []
    if not table.is_partition:
        wanted = table.policies_wanted(table.condition(secured))
        for policy, text in wanted.items():
            if table.policies.get(policy) == text:
                continue
            statements += [
                f"DROP POLICY IF EXISTS {policy} ON {name}",
                f"CREATE POLICY {policy} ON {name} {text}",
                f"COMMENT ON POLICY {policy} ON {name} IS {_literal(text)}",
            ]
    if not table.is_forced:
        statements += [
            f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        ]
    return statements


def _grants(cursor: Any, table: Table) -> list[str]:
    name = _quoted(table.name)
    app = table.name.partition("_")[0]
    statements = []
    for role, rights in RIGHTS.items():
        wanted = rights.get(app, rights.get("*", ""))
        if table.name in ONLY_READ:
            wanted = READ
        elif table.name in ONLY_ADDED and wanted == WRITE:
            wanted = "SELECT, INSERT"
        cursor.execute(
            "SELECT string_agg(privilege_type, ', ') FROM"
            " (SELECT privilege_type FROM pg_class c, aclexplode(c.relacl) a"
            " WHERE c.oid = %s::regclass AND a.grantee = %s::regrole) found",
            [name, role],
        )
        (row,) = cursor.fetchall()
        has = set((row[0] or "").split(", ")) - {""}
        needs = set(wanted.split(", ")) - {""}
        if extra := has - needs:
            statements.append(
                f"REVOKE {', '.join(sorted(extra))} ON {name} FROM {role}"
            )
        if missing := needs - has:
            statements.append(f"GRANT {', '.join(sorted(missing))} ON {name} TO {role}")
    return statements


def _quoted(name: str) -> str:
    return sql.Identifier(name).as_string(connection.connection)


def _literal(text: str) -> str:
    return sql.Literal(text).as_string(connection.connection)
