"""All our migrations can be reversed, and applied again with the same result."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db import connection
from psycopg import sql

BASE = Path(__file__).resolve().parents[2]
APPS = ("console", "fleet", "commands", "state", "registry")
SCRATCH = "scratch_of_migrations"
CATALOGUE = """
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
            || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
            || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
        AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT 'index', tablename, indexname, indexdef
        FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conrelid::regclass::text, conname,
            pg_get_constraintdef(oid)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname,
            pg_get_triggerdef(oid)
        FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'function', p.proname, '', pg_get_functiondef(p.oid)
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        AND p.prokind = 'f' AND NOT EXISTS (SELECT FROM pg_depend
            WHERE objid = p.oid AND deptype = 'e')
    UNION ALL SELECT 'policy', tablename, policyname, concat(roles, cmd, qual)
        FROM pg_policies
    UNION ALL SELECT 'type', typname, '', '' FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
    UNION ALL SELECT 'extension', extname, '', '' FROM pg_extension
"""


@pytest.fixture
def scratch(db: None) -> Iterator[psycopg.Connection[Any]]:
    """An empty database beside the database of the tests."""
    given = connection.get_connection_params()
    given = {k: v for k, v in given.items() if k not in ("context", "cursor_factory")}
    name = sql.Identifier(f"{SCRATCH}_{given['dbname']}")
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name)
    with psycopg.connect(**given, autocommit=True) as beside:
        beside.execute(drop)
        beside.execute(sql.SQL("CREATE DATABASE {}").format(name))
        given["dbname"] = f"{SCRATCH}_{given['dbname']}"
        with psycopg.connect(**given, autocommit=True) as found:
            yield found
        beside.execute(drop)


def manage(scratch: psycopg.Connection[Any], *words: str) -> str:
    """Run a command on the scratch database; return its output."""
    at, name = connection.settings_dict, scratch.info.dbname
    account = f"{at['USER']}:{quote(at['PASSWORD'], safe='')}"
    url = f"postgres://{account}@{at['HOST'] or 'localhost'}:{at['PORT']}/{name}"
    done = subprocess.run(
        [sys.executable, "-Wi", "manage.py", *words],
        cwd=BASE,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def catalogue(scratch: psycopg.Connection[Any]) -> set[tuple[str, ...]]:
    return set(scratch.execute(CATALOGUE).fetchall())


def of_ours(rows: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows that belong to our apps, by their names."""
    return sorted(row[:3] for row in rows if row[1].split("_")[0] in APPS)


def test_all_migrations_can_be_reversed_and_applied_again(
    scratch: psycopg.Connection[Any],
) -> None:
    manage(scratch, "migrate")
    before = catalogue(scratch)
    assert len(of_ours(before)) > 500

    manage(scratch, "migrate", "registry", "zero")  # and all that depends on it
    assert of_ours(catalogue(scratch)) == []

    manage(scratch, "migrate")
    again = catalogue(scratch)

    assert sorted(before - again) == []
    assert sorted(again - before) == []
    assert "No migrations to apply" in manage(scratch, "migrate")
    assert catalogue(scratch) == again
