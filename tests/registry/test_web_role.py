"""The database role of the web processes: it reads and writes rows, owns nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection

ROLE = "iot_web"


@pytest.fixture
def web(transactional_db: None) -> Iterator[psycopg.Connection[Any]]:
    """A connection like those of web processes: with ``-c role=iot_web``."""
    given = connection.get_connection_params()
    given = {k: v for k, v in given.items() if k not in ("context", "cursor_factory")}
    given["options"] = f"-c role={ROLE}"
    with psycopg.connect(**given, autocommit=True) as found:
        yield found


def test_the_web_role_owns_nothing_and_bypasses_no_policy(
    web: psycopg.Connection[Any],
) -> None:
    owned = web.execute(
        "SELECT relname FROM pg_class WHERE relowner = %s::regrole", [ROLE]
    ).fetchall()
    flags = web.execute(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolcanlogin"
        " FROM pg_roles WHERE rolname = current_user"
    ).fetchone()

    assert web.execute("SELECT current_user").fetchone() == (ROLE,)
    assert owned == []
    assert flags == (False,) * 5


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE registry_device ADD COLUMN x int",
        "DROP TABLE registry_device",
        "TRUNCATE registry_device",
        "CREATE ROLE other",
        "ALTER TABLE registry_device DISABLE TRIGGER ALL",
    ],
)
def test_the_web_role_cannot_alter_tables(
    web: psycopg.Connection[Any], statement: str
) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        web.execute(statement)


def test_the_web_role_reads_and_writes_every_table_except_the_logs(
    web: psycopg.Connection[Any],
) -> None:
    missing = web.execute(
        "SELECT c.relname, p.privilege"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,"
        " unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS p(privilege)"
        " WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')"
        " AND NOT c.relispartition AND c.relname <> 'django_migrations'"
        " AND NOT has_table_privilege(current_user, c.oid, p.privilege)"
        " ORDER BY c.relname, p.privilege"
    ).fetchall()

    never = ("DELETE", "INSERT", "UPDATE")
    expected = [
        *(("registry_auditentry", verb) for verb in never),  # only triggers write these
        *(("registry_pastdevice", verb) for verb in never),
        *(("state_alarmchange", verb) for verb in ("DELETE", "UPDATE")),  # only added
        *(("state_paststart", verb) for verb in never),
        *(("state_pasttwin", verb) for verb in never),
    ]
    assert missing == expected
