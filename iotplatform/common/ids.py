"""Ids that clients and devices see."""

import hashlib
import re
from collections.abc import Iterable
from uuid import UUID

from uuid_utils import uuid7 as _native_uuid7
from uuid_utils.compat import uuid7 as _uuid7

UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")  # of a device


def new_public_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): opaque to callers, sorted by time in an index."""
    return _uuid7()


def new_public_id_text() -> str:
    """Return the same as text: a fifth of the time, for very many."""
    return str(_native_uuid7())


def parse_uuid(text: UUID | str) -> UUID | None:
    """Return the id, or None: ids are opaque, so a malformed one is not found."""
    if isinstance(text, UUID):
        return text
    try:
        return UUID(text)
    except ValueError:
        return None


def hash_of(uids: Iterable[str]) -> str:
    """Return the SHA-256 of the sorted uids, one per line."""
    digest = hashlib.sha256()
    for uid in sorted(uids):
        digest.update(f"{uid}\n".encode())
    return digest.hexdigest()
