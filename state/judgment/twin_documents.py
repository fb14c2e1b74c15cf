"""Merge and compare the documents of a twin; pure."""

from __future__ import annotations

import math
from typing import Any

import msgspec

# A device keeps it in memory and a broker retains it, so it must be small.
DESIRED_BYTES = 8 * 1024
TEXT_LENGTH = 64
# A recorded change is for people to read, it is no archive.
MOST_CHANGES = 32
LONGEST_VALUE = 500
# Many devices compute in float32: they report a desired 0.1 as 0.10000000149011612.
# Whole numbers are exact, as ids and times are.
FLOAT32_PRECISION = 2.0**-23
FLOAT32_SMALLEST = 2.0**-149
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
    """Return the merge patch that turns ``before`` into ``after``; empty if none."""
    patch: Document = {key: None for key in before if key not in after}
    for key, value in after.items():
        if key in before and is_same(before[key], value):
            continue
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            patch[key] = patch_between(old, value)
        else:
            patch[key] = value
    return patch


def restoring_patch(before: Document, patch: Document) -> Document:
    """Return the merge patch that undoes another one, which is merged into ``before``.

    It touches the same keys only: one that was absent is removed again.
    """
    restoring: Document = {}
    for key, value in patch.items():
        old = before.get(key)
        if key not in before:
            if value is not None:
                restoring[key] = None
        elif isinstance(value, dict) and isinstance(old, dict):
            if inner := restoring_patch(old, value):
                restoring[key] = inner
        else:
            restoring[key] = old
    return restoring


def delta_of(desired: Document, reported: Document) -> Document:
    """Return the desired keys whose reported value differs, with both values.

    Inside an object, other reported keys do not matter: a key has converged when the
    device reports everything desired below it.
    """
    return {
        key: {"desired": value, "reported": reported.get(key)}
        for key, value in desired.items()
        if key not in reported or not is_met(value, reported[key])
    }


def is_met(expectation: Any, reported: Any) -> bool:
    """Whether ``reported`` contains everything in ``expectation``.

    Objects are compared key by key, everything else as a whole.
    """
    if isinstance(expectation, dict) and isinstance(reported, dict):
        return all(
            key in reported and is_met(value, reported[key])
            for key, value in expectation.items()
        )
    return is_same(expectation, reported)


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same, numbers within float32 precision.

    JSON's true is not its 1, though Python's is.
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            is_same(value, other[key]) for key, value in one.items()
        )
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    if _is_number(one) and _is_number(other):
        return _is_same_number(one, other)
    return type(one) is type(other) and bool(one == other)


def changes_of(before: Document, after: Document, desired: Document) -> Document:
    """Return the keys that changed, with both values; a missing value is left out.

    A changed number that nobody desired is a measurement and left out: a counter among
    the reported keys would add to the change log with every report.
    """
    changed: Document = {}
    for key in sorted({*before, *after}):
        if len(changed) == MOST_CHANGES:
            break
        if key in before and key in after and is_same(before[key], after[key]):
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


def _is_same_number(one: float, other: float) -> bool:
    if isinstance(one, int) and isinstance(other, int):
        return one == other
    try:
        return math.isclose(
            one, other, rel_tol=FLOAT32_PRECISION, abs_tol=FLOAT32_SMALLEST
        )
    except OverflowError:  # a whole number that no float can hold
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> Any:
    text = msgspec.json.encode(value).decode()
    return value if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
