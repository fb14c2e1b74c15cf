"""An ordinary owner of a database migrates it, goes back, and migrates it again."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from iotplatform.local.errors import SetupError
from iotplatform.local.external import check_reachable
from tests.common.ordinary_server import ordinary_server

BASE = Path(__file__).resolve().parents[2]
APPS = ("console", "fleet", "commands", "state", "registry")
ROLES_OF_OURS = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'iot_%'"
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


def manage(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command as the user and on the database of a URL."""
    return subprocess.run(
        [sys.executable, "-Wi", "manage.py", *words],
        cwd=BASE,
        env=os.environ | {"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )


def migrate(url: str, *words: str) -> str:
    """Return the output."""
    done = manage(url, "migrate", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def catalogue(scratch: psycopg.Connection[Any]) -> set[tuple[str, ...]]:
    return set(scratch.execute(CATALOGUE).fetchall())


def of_ours(rows: set[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the rows that belong to our apps, by their names."""
    return sorted(row[:3] for row in rows if row[1].split("_")[0] in APPS)


def test_an_owner_without_rights_gets_the_sql_and_then_migrates_there_and_back() -> (
    None
):
    with ordinary_server() as (url, admin):
        # Given a server that was closed further, and that has tables of others.
        admin.execute("ALTER SCHEMA public OWNER TO postgres")
        admin.execute("CREATE TABLE theirs (id int)")
        before = catalogue(admin)

        # When the owner migrates, then it is told what is missing: all of it, at once.
        refused = manage(url, "migrate")
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert 'The database "scratch" cannot be used by "Some owner"' in refused.stderr
        assert "may not create roles" in refused.stderr
        assert "does not own 1 tables (theirs" in refused.stderr
        assert catalogue(admin) == before
        assert admin.execute(ROLES_OF_OURS).fetchone() == (0,)

        # As `make up` says it, before it starts anything.
        with pytest.raises(SetupError, match=r"(?s)DATABASE_URL names .* create roles"):
            check_reachable({"DATABASE_URL": url})

        # When an administrator has run the SQL of the message, then all is well.
        for statement in re.findall(r"^    (.*;)$", refused.stderr, re.MULTILINE):
            admin.execute(statement)
        check_reachable({"DATABASE_URL": url})
        assert_migrates_there_and_back(url, admin)

        # No SQL helps against another encoding.
        admin.execute(
            "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0"
            " LOCALE_PROVIDER libc LOCALE 'C'"
        )
        with pytest.raises(SetupError, match="encoding is LATIN1, but UTF8 is needed"):
            check_reachable({"DATABASE_URL": url.replace("/scratch", "/latin")})


def assert_migrates_there_and_back(url: str, admin: psycopg.Connection[Any]) -> None:
    migrate(url)
    before = catalogue(admin)
    assert len(of_ours(before)) > 500

    migrate(url, "registry", "zero")  # and all that depends on it
    assert of_ours(catalogue(admin)) == []

    migrate(url)
    again = catalogue(admin)

    assert sorted(before - again) == []
    assert sorted(again - before) == []
    assert "No migrations to apply" in migrate(url)
    assert catalogue(admin) == again
