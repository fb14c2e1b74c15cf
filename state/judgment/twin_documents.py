"""Merge and compare the documents of a twin; pure."""

from __future__ import annotations

from typing import Any

import msgspec

# A device keeps it in memory and a broker retains it, so it must be small.
DESIRED_BYTES = 8 * 1024
TEXT_LENGTH = 64
# A recorded change is for people to read, it is no archive.
MOST_CHANGES = 32
LONGEST_VALUE = 500
Document = dict[str, Any]


def merge_patch(target: Any, patch: Any) -> Any:
    """Return ``target`` with a JSON merge patch applied (RFC 7396)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def patch_between(before: Document, after: Document) -> Document:
    """Return the merge patch that turns ``before`` into ``after``; empty if equal."""
    patch: Document = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key in before and _is_same(before[key], value):
            continue
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            patch[key] = patch_between(old, value)
        else:
            patch[key] = value
    return patch


def delta_of(desired: Document, reported: Document) -> Document:
    """Return the desired keys whose reported value differs, with both values.

    Inside an object, other reported keys do not matter: a key has converged when the
    device reports everything desired below it.
    """
    return {
        key: {"desired": value, "reported": reported.get(key)}
        for key, value in desired.items()
        if key not in reported or not _holds(value, reported[key])
    }


def changes_of(before: Document, after: Document, desired: Document) -> Document:
    """Return the keys that changed, with both values; a missing value is left out.

    A changed number that nobody desired is a measurement and left out: a counter among
    the reported keys would add to the change log with every report.
    """
    changed: Document = {}
    for key in sorted({*before, *after}):
        if len(changed) == MOST_CHANGES:
            break
        if key in before and key in after and _is_same(before[key], after[key]):
            continue
        sides = {"from": before.get(key), "to": after.get(key)}
        if key not in desired and all(_is_number(side) for side in sides.values()):
            continue
        changed[key] = {
            name: _short(document[key])
            for name, document in (("from", before), ("to", after))
            if key in document
        }
    return changed


def text_of(document: Document, key: str) -> str:
    """Return a reported value as short text, whatever its type."""
    value = document.get(key)
    return "" if value is None else str(value)[:TEXT_LENGTH]


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return value if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _holds(desired: Any, reported: Any) -> bool:
    if isinstance(desired, dict) and isinstance(reported, dict):
        return all(
            key in reported and _holds(value, reported[key])
            for key, value in desired.items()
        )
    # JSON's true is not its 1, though Python's is.
    if isinstance(desired, bool) != isinstance(reported, bool):
        return False
    return bool(desired == reported)
