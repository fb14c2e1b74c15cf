"""Adding a clause to a query's text, and taking it out again."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
_OPERATORS = {"AND", "OR", "NOT", "TO"}


def clause(field: str, value: str) -> str:
    """Return ``field:value``, quoted where the value needs it."""
    if _PLAIN.match(value) and value not in _OPERATORS:
        return f"{field}:{value}"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'{field}:"{escaped}"'


def both(query: str, extra: str) -> str:
    """Return the query that asks for both."""
    query = query.strip()
    if query in ("", "*"):
        return extra
    if parts(query) == [query] and re.search(r"\sOR\s", query, re.IGNORECASE):
        query = f"({query})"
    return f"{query} AND {extra}"


def has(query: str, extra: str) -> bool:
    """Whether a clause is one of the query's, as the facets write it."""
    return extra in parts(query)


def without(query: str, extra: str) -> str:
    """Return the query without a clause; ``*`` when nothing is left."""
    return " AND ".join(part for part in parts(query) if part != extra) or "*"


def parts(query: str) -> list[str]:
    """Return the conditions that the query joins with AND, as they are written.

    What stands in quotes or brackets is one condition; with an OR at the top level the
    whole query is one.
    """
    query = query.strip()
    words, depth, quoted = [""], 0, False
    for position, char in enumerate(query):
        if char == '"' and (position == 0 or query[position - 1] != "\\"):
            quoted = not quoted
        if not quoted:
            depth += (char in "([{") - (char in ")]}")
        if char.isspace() and not quoted and depth == 0:
            words.append("")
        else:
            words[-1] += char
    if any(word.upper() == "OR" for word in words):
        return [query]
    found = [""]
    for word in filter(None, words):
        if word.upper() == "AND":
            found.append("")
        else:
            found[-1] = f"{found[-1]} {word}".strip()
    return [part for part in found if part]
