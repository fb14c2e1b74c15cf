"""Who asked for each desired key, and when: the later ask wins; pure.

Asks are kept by the path of a value in the desired document ("/net/apn"); a removal is
an ask too. Paths overlap if one is the other or lies above it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict

from state.judgment.twin_documents import Document

POLICY = "policy"


class Asked(TypedDict):
    """How an ask is stored."""

    at: str  # in UTC with microseconds, so that texts compare as times do
    by: str
    who: str
    command: str | None


Asks = dict[str, Asked]


@dataclass(frozen=True, slots=True)
class Ask:
    """When a change was asked for, and by whom."""

    at: datetime
    by: str  # "person", "job" or "policy"
    who: str

    def stored(self, command: object | None) -> Asked:
        return {
            "at": _text(self.at),
            "by": self.by,
            "who": self.who,
            "command": None if command is None else str(command),
        }


def leave_out_later(
    patch: Document, asks: Asks, *, at: datetime, by: str = ""
) -> tuple[Document, Asks]:
    """Return the part of a patch that nobody changed by a later ask, and those asks.

    Among policies (``by``), priority decides and not the time; who asks has left out by
    then what a higher one wants.
    """
    asked = _text(at)
    later = {
        path: ask
        for path, ask in asks.items()
        if ask["at"] > asked and not (by == ask["by"] == POLICY)
    }
    return _kept(patch, later) if later else (patch, {})


def with_asks(asks: Asks, patch: Document, asked: Asked) -> Asks:
    """Return the asks after a patch was merged; it replaces those that it overlaps."""
    paths = _paths(patch)
    above = {path for wanted in paths for path in _with_parents(wanted)}
    kept = {
        path: ask
        for path, ask in asks.items()
        if path not in above and not any(p in paths for p in _with_parents(path))
    }
    return kept | dict.fromkeys(paths, asked)


def leave_out(patch: Document, asks: Asks) -> tuple[Document, Asks]:
    """Return the part of a patch that none of these asks is for, and those that are."""
    return _kept(patch, asks) if asks else (patch, {})


def paths_of(patch: Document) -> list[str]:
    """Return the paths of the values of a patch ("/net/apn")."""
    return _paths(patch)


def _kept(patch: Document, later: Asks, above: str = "") -> tuple[Document, Asks]:
    kept: Document = {}
    lost: Asks = {}
    for key, value in patch.items():
        path = f"{above}/{_escaped(key)}"
        is_leaf = not (isinstance(value, dict) and value)
        if found := _overlapping(path, later, below=is_leaf):
            lost |= {path: later[found]}
        elif is_leaf:
            kept[key] = value
        else:
            inner, lost_inside = _kept(value, later, path)
            lost |= lost_inside
            if inner:
                kept[key] = inner
    return kept, lost


def _overlapping(path: str, others: Collection[str], *, below: bool) -> str | None:
    """Return a path that is this one or above it, or on request below it."""
    for parent in _with_parents(path):
        if parent in others:
            return parent
    if below:
        return next((p for p in others if p.startswith(f"{path}/")), None)
    return None


def _paths(patch: Document, above: str = "") -> list[str]:
    paths: list[str] = []
    for key, value in patch.items():
        path = f"{above}/{_escaped(key)}"
        if isinstance(value, dict) and value:
            paths += _paths(value, path)
        else:
            paths.append(path)
    return paths


def _with_parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(len(parts), 1, -1)]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")  # as in a JSON pointer


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def named(path: str) -> str:
    """Return a path as people read it: net.apn."""
    parts = path.split("/")[1:]
    return ".".join(part.replace("~1", "/").replace("~0", "~") for part in parts)
