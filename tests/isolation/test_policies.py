"""Row-level security, past the ORM: what raw SQL as each role sees and changes."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg import sql

from registry.models import Tenant
from tests.isolation.conftest import Connect, Two
from tests.isolation.rows import tenant_models

pytestmark = pytest.mark.django_db
TABLES = [model._meta.db_table for model in tenant_models()]

# The platform's own tables: without tenant, but some rows have the id of a device.
OF_NOBODY = {
    "fleet_outbox": "devices to index; ids only, drained within seconds",
    "commands_deliveryminute": "how well each adapter delivers; counts only",
    "commands_outcometotell": "devices whose outcomes are to be reported; ids only",
    "state_riskmark": "devices to judge again; ids only",
}


# Functions of triggers that touch no table.
READS_NOTHING = {"registry_audit_refuse"}


@pytest.fixture
def ours(two: Two) -> Tenant:
    return two.ours.tenant


@pytest.fixture
def theirs(two: Two) -> Tenant:
    return two.theirs.tenant


def counted(who: psycopg.Connection[Any], table: str, tenant: Tenant) -> int:
    column = "id" if table == "registry_tenant" else "tenant_id"
    query = sql.SQL("SELECT count(*) FROM {} WHERE {} = %s").format(
        sql.Identifier(table), sql.Identifier(column)
    )
    (row,) = who.execute(query, [tenant.pk]).fetchall()
    return int(row[0])


def changed_by(
    who: psycopg.Connection[Any], statement: sql.Composed, tenant: Tenant
) -> int:
    try:
        return who.execute(statement, [tenant.pk]).rowcount
    except psycopg.errors.InsufficientPrivilege:  # the audit log cannot be changed
        return 0


def test_every_table_of_a_tenant_has_forced_row_security(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,"
            " ARRAY(SELECT p.polname::text FROM pg_policy p WHERE p.polrelid = c.oid)"
            " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace"
            " AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND ("
            " EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid"
            "  AND a.attname IN ('tenant_id', 'device_id') AND NOT a.attisdropped)"
            " OR EXISTS (SELECT FROM pg_constraint f JOIN pg_class parent"
            "  ON parent.oid = f.confrelid WHERE f.conrelid = c.oid"
            "  AND f.contype = 'f' AND parent.relrowsecurity))"
        )
        found = {row[0]: row[1:] for row in cursor.fetchall()}

    open_ones = {
        table: row
        for table, row in found.items()
        if table not in OF_NOBODY
        and not (row[0] and row[1] and {"iot_tenant", "iot_owner"} <= set(row[2]))
    }
    assert set(TABLES) <= set(found)
    assert open_ones == {}


def test_a_partition_cannot_be_read_by_its_own_name(
    ours: Tenant, connect: Connect
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity"
            " FROM pg_class c WHERE c.relispartition AND c.relkind = 'r'"
        )
        partitions = dict(cursor.fetchall())

    assert len(partitions) > 10
    assert [name for name, is_shut in partitions.items() if not is_shut] == []
    with (
        connect(tenants=str(ours.pk)) as web,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        web.execute(f"SELECT FROM {min(partitions)}")


@pytest.mark.parametrize("role", ["iot_web", "none"])
def test_a_tenant_sees_and_changes_nothing_of_another_in_any_table(
    ours: Tenant, theirs: Tenant, connect: Connect, role: str
) -> None:
    leaks, missing, changed = [], [], []
    with connect(role, tenants=str(ours.pk)) as who:
        for table in TABLES:
            if counted(who, table, theirs):
                leaks.append(table)
            if not counted(who, table, ours):
                missing.append(table)
            update = sql.SQL(
                "UPDATE {0} SET tenant_id = tenant_id WHERE tenant_id = %s"
            )
            delete = sql.SQL("DELETE FROM {0} WHERE tenant_id = %s")
            for statement in (update, delete):
                if changed_by(who, statement.format(sql.Identifier(table)), theirs):
                    changed.append(table)

    assert (leaks, missing, changed) == ([], [], [])


def test_no_tenant_means_no_rows_in_any_table(ours: Tenant, connect: Connect) -> None:
    with connect() as web, connect("none") as owner:
        seen = [
            (table, who.execute("SELECT current_user").fetchall())
            for who in (web, owner)
            for table in [*TABLES, "registry_tenant"]
            if who.execute(f"SELECT FROM {table} LIMIT 1").fetchall()
        ]

    assert seen == []


def test_a_row_cannot_be_written_into_or_moved_to_another_tenant(
    ours: Tenant, theirs: Tenant, connect: Connect
) -> None:
    with connect(tenants=str(ours.pk)) as web:
        for statement in (
            "UPDATE registry_device SET tenant_id = %s",
            "UPDATE commands_command SET tenant_id = %s",
            "INSERT INTO registry_project"
            " (public_id, tenant_id, slug, name, created_at)"
            " VALUES (gen_random_uuid(), %s, 'x', 'x', now())",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute(statement, [theirs.pk])


def test_a_condition_injected_into_a_query_finds_only_own_rows(
    ours: Tenant, theirs: Tenant, connect: Connect
) -> None:
    with connect(tenants=str(ours.pk)) as web:
        injected = "x' OR 1=1 UNION SELECT uid FROM registry_device -- "
        found = web.execute(
            f"SELECT uid FROM registry_device WHERE uid = '{injected}'"
        ).fetchall()
        tenants = web.execute("SELECT DISTINCT tenant_id FROM registry_device")

        assert len(found) == counted(web, "registry_device", ours)
        assert tenants.fetchall() == [(ours.pk,)]


def test_own_memberships_are_readable_before_a_tenant_is_chosen(
    connect: Connect, two: Two
) -> None:
    mine = two.members["viewer"]

    with connect(user_id=str(mine.user_id)) as web:
        seen = web.execute("SELECT id FROM registry_membership").fetchall()
        changed = web.execute("UPDATE registry_membership SET role = 'admin'").rowcount

    assert seen == [(mine.pk,)]
    assert changed == 0


@pytest.mark.parametrize("role", ["iot_platform", "iot_bridge", "iot_worker"])
def test_the_platforms_own_processes_see_every_tenant(
    ours: Tenant, theirs: Tenant, connect: Connect, role: str
) -> None:
    with connect(role) as process:
        assert counted(process, "registry_device", ours) == 5
        assert counted(process, "registry_device", theirs) == 1


@pytest.mark.parametrize("role", ["iot_bridge", "iot_worker", "iot_indexer"])
def test_bridge_and_worker_write_no_registry_table(connect: Connect, role: str) -> None:
    with connect(role) as process:
        for verb in (
            "UPDATE registry_device SET name = 'x'",
            "DELETE FROM registry_device",
            "INSERT INTO registry_tenant (slug) VALUES ('x')",
            "TRUNCATE registry_device CASCADE",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                process.execute(verb)


@pytest.mark.parametrize(
    "role", ["iot_web", "iot_platform", "iot_bridge", "iot_worker", "iot_indexer"]
)
def test_no_role_owns_anything_or_bypasses_a_policy(
    connect: Connect, role: str
) -> None:
    with connect(role) as process:
        owned = process.execute(
            "SELECT relname FROM pg_class WHERE relowner = %s::regrole", [role]
        )
        flags = process.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolcanlogin"
            " FROM pg_roles WHERE rolname = current_user"
        )

        assert owned.fetchall() == []
        assert flags.fetchall() == [(False,) * 5]


def test_the_owner_of_the_tests_is_not_a_superuser(connect: Connect) -> None:
    """Otherwise row-level security would bind nobody here and prove nothing."""
    with connect("none") as owner:
        flags = owner.execute(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert flags.fetchall() == [(False, False)]


def test_every_trigger_function_runs_as_its_owner_with_a_fixed_path(
    db: None,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname FROM pg_proc p"
            " WHERE p.pronamespace = 'public'::regnamespace"
            " AND p.prorettype = 'trigger'::regtype"
            " AND NOT EXISTS (SELECT FROM pg_depend d"
            "  WHERE d.objid = p.oid AND d.deptype = 'e')"
            " AND NOT (p.prosecdef AND EXISTS ("
            "  SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%'))"
        )
        found = {name for (name,) in cursor.fetchall()}

    assert found <= READS_NOTHING


def test_applying_row_security_again_changes_nothing(db: None) -> None:
    from iotplatform.database.row_security import apply_row_security

    assert apply_row_security() == 0
