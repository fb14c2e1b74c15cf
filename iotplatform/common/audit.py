"""For migrations: put the audit log's triggers on a table that people change.

Statement triggers with transition tables, one INSERT … SELECT a statement, all calling
one function (made by the registry's migration, which a migration that uses this must
depend on). They write an entry only where the transaction says who acts: it bears
``iot.user_id`` or ``iot.token_id``, or a management command's ``iot.door``. So what
messages and sweeps change costs one call a statement and leaves no entry.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.migrations import RunSQL

# They follow every change, or move by themselves: a change of these alone is none.
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
    """Return the operation that has every person's change of a table recorded.

    ``kind`` is the model's name in snake case. The values of ``secrets`` never enter,
    only that they changed; ``ignored`` are columns that change by themselves.
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
