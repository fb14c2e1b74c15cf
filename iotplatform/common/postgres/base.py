"""Django's PostgreSQL backend, which sets the tenant scope in every transaction.

The statement that sets it (the stamp) is sent in front of a transaction's first
statement, in the same message, so it costs no round trip. PostgreSQL runs two
statements of one message in one transaction even in autocommit, so there the stamp ends
with the statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import transaction
from django.db.backends.postgresql import base
from django.db.backends.utils import CursorWrapper
from psycopg import sql
from psycopg.pq import TransactionStatus

from iotplatform.common import tenant_scope
from iotplatform.common.tenant_scope import TenantScope


class ScopedCursor(CursorWrapper):
    """A cursor whose COPY runs in the tenant scope, too."""

    def copy(self, statement: Any, params: Any = None) -> Any:
        """Begin a COPY; it needs a transaction for the stamp to last."""
        self.db.stamp()
        return self.cursor.copy(statement, params)


class ScopedDebugCursor(base.CursorDebugWrapper):
    """The same, where Django logs statements."""

    def copy(self, statement: Any) -> Any:
        self.db.stamp()
        return super().copy(statement)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that knows the scope that its transaction was stamped with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The scope in force in the transaction, as far as we know; and whether it was
        # ever stamped, so that there is something to reset.
        self._stamped: TenantScope | None = None
        self._was_stamped = False
        self._is_unsure = False
        self.execute_wrappers.append(self._execute_stamped)

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return ScopedCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        return ScopedDebugCursor(cursor, self)

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        # The rollback undid every stamp since the savepoint, in either direction.
        self._is_unsure = self._was_stamped

    def stamp(self) -> None:
        """Stamp the transaction now, for a COPY.

        Raises TransactionManagementError in autocommit, where it would not last.
        """
        due = self._due()
        if due is None:
            return
        if self.connection.autocommit:
            raise transaction.TransactionManagementError(
                "This needs a transaction: outside of one the tenant scope is not set."
            )
        self._send(due)

    @contextmanager
    def in_scope(self) -> Iterator[None]:
        """Run statements in the tenant scope that bypass Django's cursors."""
        self.ensure_connection()
        if self._due() is not None and self.connection.autocommit:
            with transaction.atomic(using=self.alias):
                self.stamp()
                yield
        else:
            self.stamp()
            yield

    def _due(self) -> str | None:
        """Return the stamp that the next statement needs; None when it needs none."""
        status = self.connection.info.transaction_status
        if status == TransactionStatus.INERROR:
            return None  # PostgreSQL accepts nothing but a rollback
        if status == TransactionStatus.IDLE:
            self._stamped, self._was_stamped, self._is_unsure = None, False, False
        wanted = tenant_scope.current()
        if wanted == self._stamped and not self._is_unsure:
            return None
        return wanted.stamp if wanted is not None else self._reset_stamp()

    def _reset_stamp(self) -> str:
        """Return the stamp without a caller: the role the connection was opened as."""
        options = self.settings_dict["OPTIONS"].get("options", "")
        role = options.partition("-c role=")[2].split(" ")[0] or "none"
        return tenant_scope.stamp_of(role, tenants="", user_id="", token_id="", door="")

    def _note(self) -> None:
        self._stamped = tenant_scope.current()
        self._was_stamped, self._is_unsure = True, False

    def _send(self, due: str) -> None:
        self._note()
        with self.wrap_database_errors, psycopg.ClientCursor(self.connection) as cursor:
            cursor.execute(due.encode())

    def _execute_stamped(
        self,
        execute: Callable[..., Any],
        statement: Any,
        params: Any,
        many: bool,
        context: dict[str, Any],
    ) -> Any:
        due = self._due()
        if due is None:
            return execute(statement, params, many, context)
        cursor = context["cursor"].cursor
        needs_own_message = many or isinstance(cursor, psycopg.ServerCursor)
        if needs_own_message and self.connection.autocommit:
            with transaction.atomic(using=self.alias):
                self._send(due)
                return execute(statement, params, many, context)
        if needs_own_message:
            self._send(due)
            return execute(statement, params, many, context)
        if not self.connection.autocommit:
            self._note()
        answer = execute(_together(due, statement), params, many, context)
        cursor.nextset()  # the first answer belongs to the stamp
        return answer


def _together(due: str, statement: Any) -> Any:
    """Put the stamp in front of a statement, given as text or as psycopg's ``SQL``."""
    if isinstance(statement, str):
        return f"{due}; {statement}"
    return sql.SQL(f"{due}; ") + statement
