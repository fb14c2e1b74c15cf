"""A walk over all endpoints, and what it must not find, change or leave in a log."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection
from psycopg import sql

from tests.isolation.people import APIS, Caller
from tests.isolation.rows import Rows, tenant_models

TRIES = "route x method x role tries"
OUR_LOGGERS = ("iotplatform", "registry", "state", "commands", "fleet", "console")
STATEMENTS = "django.db.backends"
# Tables without tenant that are about a device.
ABOUT_DEVICES = ("fleet_outbox", "commands_outcometotell", "state_riskmark")


@dataclass
class Fleet:
    """Two tenants, everybody of the first, and an admin of the second."""

    ours: Rows
    theirs: Rows
    word: str
    callers: dict[str, Caller]
    their_admin: Caller

    def is_revealed_in(self, text: str) -> bool:
        """Whether a text has anything of the other tenant's."""
        return self.word in text or self.theirs.short in text


def everything_of(rows: Rows) -> dict[str, list[str]]:
    """Return every row of a tenant as text, by table, in one statement."""
    of_tenant = "SELECT {name}, t::text FROM {table} t WHERE tenant_id = %(tenant)s"
    about = (
        "SELECT {name}, t::text FROM {table} t WHERE device_id IN"
        " (SELECT id FROM registry_device WHERE tenant_id = %(tenant)s)"
    )
    named = [(model._meta.db_table, of_tenant) for model in tenant_models()]
    named += [(table, about) for table in ABOUT_DEVICES]
    parts = [
        sql.SQL(text).format(name=sql.Literal(table), table=sql.Identifier(table))
        for table, text in named
    ]
    found: dict[str, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            sql.SQL(" UNION ALL ").join(parts) + sql.SQL(" ORDER BY 1, 2"),
            {"tenant": rows.tenant.pk},
        )
        for table, row in cursor.fetchall():
            found.setdefault(table, []).append(row)
    return found


class LogLeaks(logging.Handler):
    """Reads every line of our logs, and keeps those that reveal the other tenant."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self.fleet = fleet
        self.line_count = 0
        self.lines: list[str] = []
        self.sent_words = re.compile("(?!)")

    def ignore_words_of(self, *texts: str) -> None:
        """Do not count the words that the request itself contains."""
        named = {
            word
            for text in texts
            for word in re.findall(rf"{self.fleet.word}[\w-]*", text)
        }
        longest_first = sorted(named, key=len, reverse=True)
        choice = "|".join(re.escape(word) for word in longest_first)
        self.sent_words = re.compile(rf"(?:{choice})(?![\w-])" if choice else "(?!)")

    def emit(self, record: logging.LogRecord) -> None:
        self.line_count += 1
        line = self.format(record)
        if self.fleet.is_revealed_in(self.sent_words.sub("", line)):
            self.lines.append(line)


@contextmanager
def watching_logs(fleet: Fleet) -> Iterator[LogLeaks]:
    """Watch all that we log at the level of DEBUG, including statements."""
    leaks = LogLeaks(fleet)
    loggers = [logging.getLogger(name) for name in (*OUR_LOGGERS, STATEMENTS)]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(leaks)
        logger.setLevel(logging.DEBUG)
        logger.propagate = False  # nobody else needs so many lines
    connection.force_debug_cursor = True
    try:
        yield leaks
    finally:
        connection.force_debug_cursor = False
        connection.queries_log.clear()
        for logger, (level, propagates) in zip(loggers, before, strict=True):
            logger.removeHandler(leaks)
            logger.setLevel(level)
            logger.propagate = propagates


class Walk:
    """Sends requests, counts them, and keeps the wrong answers."""

    def __init__(
        self, fleet: Fleet, name: str, counted: Counter[str], leaks: LogLeaks
    ) -> None:
        self.fleet = fleet
        self.caller = fleet.callers[name]
        self.counted = counted
        self.leaks = leaks
        self.wrong: list[tuple[str, str, int, str]] = []

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        """Send a request; return the status and the beginning of the answer."""
        sent = list(_texts_in(body))
        self.leaks.ignore_words_of(path, *sent)
        answer = self.caller.ask(method, path, body)
        text = answer.getvalue().decode(errors="replace")
        self.counted[TRIES] += 1
        headers = self.leaks.sent_words.sub("", str(answer.headers))
        if self.fleet.is_revealed_in(self._without_sent_texts(text, sent) + headers):
            self.wrong.append((method, path, answer.status_code, "reveals the word"))
        # /readyz is 503, because no other process runs here.
        is_ours = answer.status_code >= 500 and path != "/readyz"
        # The endpoints for passwords must be throttled.
        is_late = answer.status_code == 429 and path.startswith(APIS)
        if is_late or is_ours:
            self.wrong.append((method, path, answer.status_code, text[:200]))
        return answer.status_code, answer.get("Location", text[:200])

    def expect(
        self, allowed: set[int], method: str, path: str, body: Any = None
    ) -> None:
        """Send a request; keep the answer if its status is not allowed."""
        status, start = self.ask(method, path, body)
        if status not in allowed and not (
            status == 302 and start.startswith(("/accounts/login/", "/admin/login/"))
        ):
            self.wrong.append((method, path, status, start))

    def _without_sent_texts(self, text: str, sent: list[str]) -> str:
        for value in sent:
            if self.fleet.word in value:
                text = text.replace(value, "")
        return text


def _texts_in(body: Any) -> Iterator[str]:
    if isinstance(body, str):
        yield body
    elif isinstance(body, dict):
        for value in body.values():
            yield from _texts_in(value)
    elif isinstance(body, list):
        for value in body:
            yield from _texts_in(value)
