"""PostgreSQL's NOTIFY: best effort, because every listener also polls."""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection
from psycopg import sql


def notify(channel: str, payload: str = "") -> None:
    """Send one NOTIFY with the commit: one per batch, never one per row."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


def listen(channel: str) -> psycopg.Connection[Any]:
    """Return a separate connection: one that runs queries may miss notifications."""
    params = connection.get_connection_params()
    for name in ("cursor_factory", "context", "prepare_threshold"):
        params.pop(name, None)  # these are for Django's own connections
    link = psycopg.connect(**params, autocommit=True)
    link.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
    return link
