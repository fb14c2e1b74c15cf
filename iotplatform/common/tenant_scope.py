"""The tenant scope of a request: whose rows PostgreSQL lets it see.

It is a second check behind the queries of the selectors. A request begins in a scope
without tenants, which sees no tenant's rows. ``iotplatform.common.postgres`` sets the
scope at the start of every transaction, and row security
(``iotplatform/database/row_security.py``) enforces it. Processes that serve no caller
(bridge, worker, indexer, commands) have no scope: they act as the role they connect as.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db import transaction

WEB, PLATFORM = "iot_web", "iot_platform"
BRIDGE, WORKER, INDEXER = "iot_bridge", "iot_worker", "iot_indexer"
ROLES = frozenset({WEB, PLATFORM, BRIDGE, WORKER, INDEXER})
# Values are written into the statement: nothing that could end the literal.
PLAIN = re.compile(r"[\w,-]*", re.ASCII)


@dataclass(frozen=True)
class TenantScope:
    """Who asks, through which entry point, and whose rows they may access."""

    role: str = WEB
    tenants: tuple[int, ...] = ()
    user_id: int | None = None
    token_id: int | None = None
    door: str = ""  # console, rest, admin, device

    @cached_property
    def stamp(self) -> str:
        """The statement that sets this scope until the end of the transaction."""
        return stamp_of(
            self.role,
            tenants=",".join(map(str, self.tenants)),
            user_id=str(self.user_id or ""),
            token_id=str(self.token_id or ""),
            door=self.door,
        )


_scope: ContextVar[TenantScope | None] = ContextVar("tenant_scope", default=None)


def stamp_of(role: str, **values: str) -> str:
    """Return the SELECT that sets a role and ``iot.*`` for this transaction."""
    pairs = [
        ("role", role),
        *((f"iot.{name}", value) for name, value in values.items()),
    ]
    for name, value in pairs:
        if not PLAIN.fullmatch(value):
            raise ValueError(f"{name} cannot be {value!r}.")
    calls = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in pairs)
    return f"SELECT {calls}"


def current() -> TenantScope | None:
    """Return the scope of the current request; None outside of requests."""
    return _scope.get()


@contextmanager
def scoped(scope: TenantScope | None) -> Iterator[None]:
    """Act in a scope; restore the one before at the end, even after ``enter``."""
    before = _scope.get()
    _scope.set(scope)
    try:
        yield
    finally:
        # Not with a token: a stream may be closed by another thread than it began in.
        _scope.set(before)


def enter(scope: TenantScope) -> None:
    """Switch to another scope until the enclosing ``scoped`` ends."""
    _scope.set(scope)


def as_role(role: str) -> Any:
    """Act as another role of the platform: ``with as_role(BRIDGE): …``.

    For what an entry point does for the platform and not for its caller: look up a
    device's credential, ingest its messages. The caller and the entry point are kept.
    Raises ValueError for an unknown role.
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is not one of {', '.join(sorted(ROLES))}.")
    return scoped(replace(current() or TenantScope(), role=role, tenants=()))


def as_tenants(tenant_ids: Iterable[int]) -> Any:
    """Act within these tenants, for a caller with a key of theirs and no account."""
    ids = tuple(sorted(tenant_ids))
    return scoped(replace(current() or TenantScope(), role=WEB, tenants=ids))


def stream(content: Iterable[Any]) -> Iterator[Any]:
    """Yield content that is made after the request ended: in its scope, in one
    transaction.
    """
    scope = current()
    rest = iter(content)

    def piece() -> Iterator[Any]:
        # The scope is set only while a piece is made: between two pieces the thread
        # may serve another request.
        with transaction.atomic():
            try:
                while True:
                    with scoped(scope):
                        try:
                            found = next(rest)
                        except StopIteration:
                            return
                    yield found
            finally:
                # When the client disconnects early: close the cursor before its
                # transaction ends.
                if close := getattr(rest, "close", None):
                    with scoped(scope):
                        close()

    return piece()
