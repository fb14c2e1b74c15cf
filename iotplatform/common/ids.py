"""Ids that the outside sees."""

from uuid import UUID

from uuid_utils.compat import uuid7 as _uuid7


def new_public_id() -> UUID:
    """Return a UUIDv7 (RFC 9562): opaque outside, and sorted by time in an index."""
    return _uuid7()
