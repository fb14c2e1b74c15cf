"""Counts as words: the noun is singular for one."""

from __future__ import annotations


def counted(count: float, noun: str, plural: str = "") -> str:
    """Return "1 device", "1,284 devices" or "1.5 hours"."""
    number = f"{count:,}" if isinstance(count, int) else f"{count:,.10g}"
    return f"{number} {noun if count == 1 else plural or f'{noun}s'}"
