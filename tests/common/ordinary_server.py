"""A PostgreSQL server of its own, with a database whose owner is an ordinary user."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from iotplatform.local.ports import free_port
from iotplatform.local.postgres import Postgres
from tests.folders import new_folder
from tests.stores import TemporaryStore

OWNER = "Some owner"  # a name that needs quotes in SQL
DATABASE = "scratch"


@contextmanager
def ordinary_server() -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """Run one; yield the owner's URL, and an administrator's connection to it.

    Roles belong to a server, so the server of the tests has them already.
    """
    folder = new_folder()
    server = Postgres.at(
        folder / "postgres", port=free_port(), password="root", durable=False
    )
    server.prepare()
    store = TemporaryStore(
        server.command(dies_by="INT"), folder / "postgres.log", signal.SIGINT
    )
    try:
        assert server.wait(seconds=30, given_up=store.has_ended)
        admin = server.url("postgres", "root", "postgres")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE \"{OWNER}\" LOGIN PASSWORD 'his'")
            connection.execute(f'CREATE DATABASE {DATABASE} OWNER "{OWNER}"')
        admin = server.url("postgres", "root", DATABASE)
        with psycopg.connect(admin, autocommit=True) as connection:
            yield server.url("Some%20owner", "his", DATABASE), connection
    finally:
        store.stop()
        shutil.rmtree(folder, ignore_errors=True)
