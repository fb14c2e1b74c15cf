"""Django's PostgreSQL backend, which stamps the scope on every transaction.

The stamp travels in front of a transaction's first statement, in the same message, so
that it costs no round trip. Two statements in one message are one transaction for
PostgreSQL even in autocommit, so that the stamp ends there with its statement.
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
from iotplatform.common.tenant_scope import Scope


class WalledCursor(CursorWrapper):
    """A cursor whose COPY is behind the wall, too."""

    def copy(self, statement: Any, params: Any = None) -> Any:
        """Begin a COPY; it needs a transaction that the stamp can hold for."""
        self.db.stamp()
        return self.cursor.copy(statement, params)


class WalledDebugCursor(base.CursorDebugWrapper):
    """The same, where Django logs statements."""

    def copy(self, statement: Any) -> Any:
        """Begin a COPY, and log it."""
        self.db.stamp()
        return super().copy(statement)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that knows what its transaction was stamped with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # What is in force in the transaction, as far as we know; and whether it was
        # ever stamped, so that there is something to take back.
        self._stamped: Scope | None = None
        self._was_stamped = False
        self._is_unsure = False
        self.execute_wrappers.append(self._execute_stamped)

    def make_cursor(self, cursor: Any) -> CursorWrapper:
        return WalledCursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        return WalledDebugCursor(cursor, self)

    def _savepoint_rollback(self, sid: str) -> None:
        super()._savepoint_rollback(sid)  # type: ignore[misc]
        # It took back what was stamped since, and put back what was taken back.
        self._is_unsure = self._was_stamped

    def stamp(self) -> None:
        """Stamp the transaction now, for a COPY.

        Raises TransactionManagementError in autocommit, where nothing would hold it.
        """
        due = self._due()
        if due is None:
            return
        if self.connection.autocommit:
            raise transaction.TransactionManagementError(
                "This needs a transaction: outside of one the wall does not hold."
            )
        self._send(due)

    @contextmanager
    def walled(self) -> Iterator[None]:
        """Keep the wall around statements that go past Django's cursors."""
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
            return None  # only a rollback goes through
        if status == TransactionStatus.IDLE:
            self._stamped, self._was_stamped, self._is_unsure = None, False, False
        wanted = tenant_scope.current()
        if wanted == self._stamped and not self._is_unsure:
            return None
        return wanted.stamp if wanted is not None else self._taken_back()

    def _taken_back(self) -> str:
        """Return the stamp of nobody: the role that the connection was opened with."""
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
        needs_one_of_its_own = many or isinstance(cursor, psycopg.ServerCursor)
        if needs_one_of_its_own and self.connection.autocommit:
            with transaction.atomic(using=self.alias):
                self._send(due)
                return execute(statement, params, many, context)
        if needs_one_of_its_own:
            self._send(due)
            return execute(statement, params, many, context)
        if not self.connection.autocommit:
            self._note()
        answer = execute(_together(due, statement), params, many, context)
        cursor.nextset()  # the first answer is the stamp's
        return answer


def _together(due: str, statement: Any) -> Any:
    """Put the stamp in front of a statement: text, or psycopg's own form."""
    if isinstance(statement, str):
        return f"{due}; {statement}"
    return sql.SQL(f"{due}; ") + statement
