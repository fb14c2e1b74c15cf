"""The second wall: whose rows a request may see, as each transaction tells PostgreSQL.

A request begins in a scope without tenants, and a scope without tenants sees no row of
any. ``iotplatform.common.postgres`` stamps the scope on every transaction, and the
policies (``iotplatform/database/row_security.py``) obey it. Processes that serve no
caller (bridge, worker, indexer, commands) have no scope; they act as the role that they
connect with.
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
# A value is written into the statement: nothing that would end its literal.
PLAIN = re.compile(r"[\w,-]*", re.ASCII)


@dataclass(frozen=True)
class Scope:
    """Who asks, through which door, and whose rows they may reach."""

    role: str = WEB
    tenants: tuple[int, ...] = ()
    user_id: int | None = None
    token_id: int | None = None
    door: str = ""  # console, rest, admin, device

    @cached_property
    def stamp(self) -> str:
        """The statement that tells PostgreSQL until the end of the transaction."""
        return stamp_of(
            self.role,
            tenants=",".join(map(str, self.tenants)),
            user_id=str(self.user_id or ""),
            token_id=str(self.token_id or ""),
            door=self.door,
        )


_scope: ContextVar[Scope | None] = ContextVar("wall", default=None)


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


def current() -> Scope | None:
    """Return the scope of this thread's request; None where nobody asks."""
    return _scope.get()


@contextmanager
def scoped(scope: Scope | None) -> Iterator[None]:
    """Act in a scope; what was before comes back, whatever ``enter`` did meanwhile."""
    before = _scope.get()
    _scope.set(scope)
    try:
        yield
    finally:
        # Not by a token: a stream may be closed by another thread than began it.
        _scope.set(before)


def enter(scope: Scope) -> None:
    """Go on in another scope, until the enclosing ``scoped`` ends."""
    _scope.set(scope)


def as_role(role: str) -> Any:
    """Act as another of the platform's roles: ``with as_role(BRIDGE): …``.

    For what a door does in the platform's own name before or beside its caller: looking
    up a device's credential, taking its messages in. Who asks and the door stay noted.
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is none of {', '.join(sorted(ROLES))}.")
    return scoped(replace(current() or Scope(), role=role, tenants=()))


def as_tenants(tenant_ids: Iterable[int]) -> Any:
    """Act behind the wall for these tenants: a key of theirs, not a person, asks."""
    ids = tuple(sorted(tenant_ids))
    return scoped(replace(current() or Scope(), role=WEB, tenants=ids))


def stream(content: Iterable[Any]) -> Iterator[Any]:
    """Yield what is made after the request ended in its scope, in one transaction."""
    scope = current()
    rest = iter(content)

    def piece() -> Iterator[Any]:
        # The scope is there only while we make a piece: between two of them the
        # thread is somebody else's.
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
                # Where somebody hangs up in the middle: its cursor, before the
                # transaction that it lives in.
                if close := getattr(rest, "close", None):
                    with scoped(scope):
                        close()

    return piece()
