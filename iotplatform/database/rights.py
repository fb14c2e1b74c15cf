"""What the platform needs of a PostgreSQL server, and the SQL that gives it.

Asked before the first migration, so that a refusal leaves nothing half done. An owner
that may create roles needs no help; an ordinary one needs an administrator once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString, NamedTuple

import psycopg
from psycopg import sql

OLDEST_SERVER = 150000
EXTENSIONS = ["ltree"]

_FACTS: LiteralString = """
SELECT current_setting('server_version_num')::int, current_user::text,
    current_database()::text, current_setting('server_encoding'),
    current_setting('transaction_read_only')::bool,
    has_schema_privilege('public', 'CREATE')
        AND has_schema_privilege('public', 'USAGE WITH GRANT OPTION'),
    ARRAY(SELECT c.relname::text FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
        AND NOT c.relispartition AND NOT pg_has_role(c.relowner, 'USAGE')
        ORDER BY c.relname)
"""
# Whether each role exists, whether we may take it as we need it, and whether we may
# grant it ourselves. PostgreSQL 16 added options to a grant, and no longer lets
# CREATEROLE grant every role.
_ROLES: LiteralString = """
SELECT wanted.name, r.oid IS NOT NULL,
    EXISTS (SELECT FROM pg_auth_members m
        WHERE m.roleid = r.oid AND m.member = me.oid
        AND (to_jsonb(m) ->> 'set_option') IS DISTINCT FROM 'false'
        AND (to_jsonb(m) ->> 'inherit_option') IS DISTINCT FROM 'true'),
    me.rolsuper OR CASE
        WHEN r.oid IS NULL THEN me.rolcreaterole
        WHEN current_setting('server_version_num')::int < 160000 AND me.rolcreaterole
            THEN true
        ELSE pg_has_role(me.oid, r.oid, 'MEMBER WITH ADMIN OPTION') END
FROM unnest(%s::text[]) WITH ORDINALITY wanted (name, position)
JOIN pg_roles me ON me.rolname = current_user
LEFT JOIN pg_roles r ON r.rolname = wanted.name
ORDER BY wanted.position
"""
_EXTENSIONS: LiteralString = """
SELECT wanted.name,
    EXISTS (SELECT FROM pg_available_extensions a WHERE a.name = wanted.name),
    EXISTS (SELECT FROM pg_extension e WHERE e.extname = wanted.name)
    OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR (has_database_privilege(current_database(), 'CREATE') AND EXISTS (
        SELECT FROM pg_available_extension_versions v
        WHERE v.name = wanted.name AND v.trusted))
FROM unnest(%s::text[]) wanted (name)
"""

# What a server says when it refuses a connection, and what helps.
_HELP = {
    "set role": "This process takes that role. manage.py migrate says what to do.",
    'role "iot_': "This process takes that role. manage.py migrate makes the roles.",
    "startup parameter": "A pooler answers there: name PostgreSQL itself.",
}


class Refusal(NamedTuple):
    """Something that is missing, and what an administrator runs; or no such SQL."""

    problem: str
    remedy: tuple[sql.Composed, ...] = ()


class _Facts(NamedTuple):
    version: int
    user: str
    database: str
    encoding: str
    is_read_only: bool
    has_schema: bool
    foreign_tables: list[str]


def missing_rights(cursor: Any, roles: tuple[str, ...]) -> str:
    """Return what the server refuses, with the SQL that helps; empty when nothing.

    It only reads. ``cursor`` is psycopg's or Django's, as the user of the tables.
    """
    cursor.execute(_FACTS)
    facts = _Facts(*cursor.fetchone())
    refusals = list(_of_server(facts))
    if not refusals:
        refusals = [
            *_of_schema(facts),
            *_of_roles(cursor, facts, roles),
            *_of_extensions(cursor),
        ]
    return _in_words(refusals, facts, cursor) if refusals else ""


def _of_server(facts: _Facts) -> Iterator[Refusal]:
    """Yield what no right helps against."""
    if facts.version < OLDEST_SERVER:
        found = f"{facts.version // 10000}.{facts.version % 10000}"
        yield Refusal(f"It is PostgreSQL {found}, but 15 or newer is needed.")
    if facts.encoding != "UTF8":
        yield Refusal(
            f"Its encoding is {facts.encoding}, but UTF8 is needed: create the database"
            " with ENCODING 'UTF8' TEMPLATE template0."
        )
    if facts.is_read_only:
        yield Refusal("It is read-only, for example a standby: name the primary.")


def _of_schema(facts: _Facts) -> Iterator[Refusal]:
    user = sql.Identifier(facts.user)
    if not facts.has_schema:
        yield Refusal(
            "It may not create tables in the schema public and let the platform's"
            " roles use it.",
            (sql.SQL("ALTER SCHEMA public OWNER TO {}").format(user),),
        )
    if facts.foreign_tables:
        some = ", ".join(facts.foreign_tables[:3])
        yield Refusal(
            f"It does not own {len(facts.foreign_tables)} tables ({some} …).",
            tuple(
                sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(
                    sql.Identifier(name), user
                )
                for name in facts.foreign_tables
            ),
        )


def _of_roles(cursor: Any, facts: _Facts, roles: tuple[str, ...]) -> Iterator[Refusal]:
    cursor.execute(_ROLES, [list(roles)])
    found = cursor.fetchall()
    absent = [name for name, exists, _, may in found if not exists and not may]
    closed = [name for name, _, is_ours, may in found if not is_ours and not may]
    if absent:
        yield Refusal(
            f"It may not create roles, and these do not exist: {', '.join(absent)}.",
            tuple(
                sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name))
                for name in absent
            ),
        )
    if closed:
        # Not inherited: else the owner had all their rights at all times.
        options = " WITH INHERIT FALSE, SET TRUE" if facts.version >= 160000 else ""
        grant = sql.SQL("GRANT {} TO {}{}").format(
            sql.SQL(", ").join(map(sql.Identifier, closed)),
            sql.Identifier(facts.user),
            sql.SQL(options),
        )
        yield Refusal(
            f"It is no member, as it is needed, of: {', '.join(closed)}.", (grant,)
        )


def _of_extensions(cursor: Any) -> Iterator[Refusal]:
    cursor.execute(_EXTENSIONS, [EXTENSIONS])
    for name, is_available, may in cursor.fetchall():
        if not is_available:
            yield Refusal(
                f"Its server does not have the extension {name}: install PostgreSQL's"
                " contrib package on the server."
            )
        elif not may:
            create = sql.SQL("CREATE EXTENSION {}").format(sql.Identifier(name))
            yield Refusal(f"It may not create the extension {name}.", (create,))


def _in_words(refusals: list[Refusal], facts: _Facts, cursor: Any) -> str:
    lines = [
        f'The database "{facts.database}" cannot be used by "{facts.user}":',
        *(f"  - {refusal.problem}" for refusal in refusals),
    ]
    remedies = [part for refusal in refusals for part in refusal.remedy]
    if remedies:
        lines += [
            "A database administrator runs this once, in that database:",
            "",
            *(f"    {part.as_string(cursor.connection)};" for part in remedies),
            "",
        ]
    return "\n".join([*lines, "Nothing was changed. See docs/production.md."])


def refused_connection(error: Exception) -> str:
    """Return why no connection could be made; empty for any other error."""
    cause = error.__cause__
    if not isinstance(cause, psycopg.OperationalError) or cause.pgconn is None:
        return ""
    reason = (str(cause).strip() or "it does not answer").splitlines()
    hints = [text for said, text in _HELP.items() if said in str(cause)]
    return "\n".join(["The database cannot be used:", *reason, *hints[:1]])
