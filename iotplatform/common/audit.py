"""For migrations: put the audit log's triggers on a table that people change.

They are statement triggers with transition tables: one INSERT … SELECT per statement.
All call one function, made by a migration of the registry; a migration that uses this
must depend on it. They write an entry only if the transaction names the actor: it has
``iot.user_id`` or ``iot.token_id``, or a management command's ``iot.door``. Changes by
messages and sweeps cost one call per statement and leave no entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations import RunSQL

# These change with every other change, or by themselves: alone they do not count.
ALWAYS_IGNORED = ("updated_at", "last_login", "last_used_at")
_EVENTS = {
    "insert": "NEW TABLE AS new_rows",
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
}


def audit_changes(
    table: str,
    *,
    kind: str,
    key: str = "id",
    secrets: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> RunSQL:
    """Return the operation that makes the audit log record changes of a table.

    ``kind`` is the model's name in snake case. For columns in ``secrets`` the log
    records only that they changed, never a value. ``ignored`` are columns that change
    by themselves.
    """
    given = [kind, key, _array(secrets), _array([*ALWAYS_IGNORED, *ignored])]
    arguments = ", ".join(f"'{text}'" for text in given)
    return RunSQL(
        "\n".join(
            f"CREATE TRIGGER audit_{event} AFTER {event.upper()} ON {table}"
            f" REFERENCING {tables} FOR EACH STATEMENT"
            f" EXECUTE FUNCTION registry_audit({arguments});"
            for event, tables in _EVENTS.items()
        ),
        "\n".join(f"DROP TRIGGER IF EXISTS audit_{e} ON {table};" for e in _EVENTS),
    )


def _array(columns: Sequence[str]) -> str:
    return "{" + ",".join(columns) + "}"
