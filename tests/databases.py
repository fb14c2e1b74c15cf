"""The databases of processes that share the tests: one migrates, the others copy."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import connection
from psycopg import sql

LOCK = 5_210_001  # any number that nobody else locks on this server


def copy_the_migrated(run: str) -> None:
    """Make Django create the tests' database of this process as a copy.

    The process that comes first migrates; the others wait for it.
    """
    name = f"template_{run}"
    with _server() as server:
        server.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        found = server.execute("SELECT FROM pg_database WHERE datname = %s", [name])
        if found.fetchone() is None:
            # Under another name first: an incomplete one must not be copied.
            _migrate(f"{name}_unfinished")
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            names = sql.Identifier(f"{name}_unfinished"), sql.Identifier(name)
            server.execute(rename.format(*names))
    connection.settings_dict["TEST"] |= {"TEMPLATE": name, "MIGRATE": False}


def _migrate(name: str) -> None:
    """Make a database with all tables, and leave the settings as they were."""
    ours = connection.settings_dict
    before, wanted = ours["NAME"], ours["TEST"]["NAME"]
    ours["TEST"]["NAME"] = name
    try:
        connection.creation.create_test_db(verbosity=0, serialize=False)
    finally:
        connection.close()
        ours["NAME"], ours["TEST"]["NAME"] = before, wanted


@contextmanager
def _server() -> Iterator[psycopg.Connection]:
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as server:
        yield server


def drop_the_migrated(run: str) -> None:
    """Leave nothing of the run on a server that others use too."""
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
    with _server() as server:
        for name in (f"template_{run}", f"template_{run}_unfinished"):
            server.execute(drop.format(sql.Identifier(name)))
