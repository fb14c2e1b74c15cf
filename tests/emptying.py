"""Emptying the tests' database after a test that commits: only what holds rows.

Django's own flush truncates every table, and then makes all permissions again: two
thirds of the time of a small test.
"""

from __future__ import annotations

from typing import Any

from django.db import connection, transaction
from django.test import TransactionTestCase
from psycopg import sql

# What migrate fills and no test writes.
KEPT = {"django_migrations", "django_content_type", "auth_permission", "django_site"}


def empty_quickly() -> None:
    """Make this the end of every test that commits."""
    TransactionTestCase._fixture_teardown = _empty  # type: ignore[attr-defined]


def empty_database() -> None:
    """Delete every row of every table but those that migrate itself has filled."""
    names = connection.introspection.django_table_names(
        only_existing=True, include_views=False
    )
    tables = [sql.Identifier(name) for name in names if name not in KEPT]
    holds = sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})")
    asked = [holds.format(sql.Literal(table.as_string()), table) for table in tables]
    with transaction.atomic(), connection.cursor() as cursor:
        # Else row security would hide the rows from the owner.
        cursor.execute("SELECT set_config('iot.unwalled', 'on', true)")
        cursor.execute(sql.SQL(" UNION ALL ").join(asked))
        full = [name for (name,) in cursor.fetchall()]
        if full:
            cursor.execute(f"TRUNCATE {', '.join(full)} CASCADE")


def _empty(case: Any) -> None:
    empty_database()
