"""The values that may stand at a position of a query, with the totals they lead to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fleet.backends.engine import Search
from fleet.exceptions import QueryError
from fleet.fields import BY_NAME, FIELDS, PATTERNED, FieldRef, Kind
from fleet.normal_forms import pattern_forms, words_of
from fleet.query.cursor import Place, Role
from fleet.query.values import quote
from fleet.selectors.lag import get_index_status
from fleet.selectors.search import open_search
from iotplatform.common.folding import fold
from registry.models import Tenant

MOST_VALUES = 20
MOST_COUNTED = 10_000  # of one field: with more values, the index may leave some out
# Nearly every device has its own: a page of devices gives them, not a count of all.
OWN = frozenset({"uid", "serial", "name"})
NOTHING = "(* AND NOT *)"  # as a value: no device has it
# A time as people ask for it → what it means behind > and behind <.
TIMES = {
    "now-1h": ("in the last hour", "more than an hour ago"),
    "now-1d": ("in the last day", "more than a day ago"),
    "now-3d": ("in the last 3 days", "more than 3 days ago"),
    "now-7d": ("in the last 7 days", "more than 7 days ago"),
    "now-30d": ("in the last 30 days", "more than 30 days ago"),
}
# Fields whose values people know by heart: a bare word may be the beginning of one.
NAMED = (
    *(field.name for field in FIELDS if field.vocabulary),
    *("site", "region", "product", "model", "project", "tags", "firmware"),
    *("hardware_revision", "batch", "last_alarm", "last_command"),
)
LEAST_LETTERS = 2  # of a bare word


@dataclass(frozen=True)
class CountedText:
    """A value as it stands in the query, and the total of the query with it."""

    text: str
    count: int
    help: str = ""
    fit: int = 0  # 0: it begins as typed; 1: it contains what was typed
    place: int = 0  # where the order is not that of the totals


def list_values(tenants: Sequence[Tenant], place: Place) -> list[CountedText]:
    """Return the values of the field at this place; none if the rest is not valid."""
    if not place.is_whole:
        return []
    try:
        return _Values(tenants, place).listed()
    except QueryError:
        return []


def list_named_values(tenants: Sequence[Tenant], place: Place) -> list[CountedText]:
    """Return conditions, as ``site:munich-01``, whose value begins as the bare word."""
    if not place.is_whole or len(place.typed) < LEAST_LETTERS:
        return []
    try:
        return _Values(tenants, place).named()
    except QueryError:
        return []


class _Values:
    """The candidates for one place; each is counted in the whole query."""

    def __init__(self, tenants: Sequence[Tenant], place: Place) -> None:
        self.tenants = tenants
        self.status = get_index_status()
        self.place = place
        self.typed = place.typed
        self.has_all_values = True
        # With AND alone, no device matches without a value. Beside OR, or behind NOT,
        # devices match that do not have it.
        self.others = ""
        if place.role is not Role.BOUND:
            others = self._closed_query(NOTHING)
            self.others = others if self._search(others).count() else ""

    def listed(self) -> list[CountedText]:
        ref = self.place.field
        assert ref is not None
        return self._counted(list(self._candidates(ref)))

    def named(self) -> list[CountedText]:
        begin = f"{_escaped(self.typed)}*"
        asked = " OR ".join(
            f"{name}:{begin}" for name in NAMED if self._may_begin(name)
        )
        refs = [FieldRef(name) for name in NAMED]
        found = self._search_any(f"({asked})").values(refs)
        return self._counted(
            [
                CountedText(f"{ref}:{_text(value)}", count)
                for ref, rows in found.items()
                for value, count in rows
                if _fit(ref, value, self.typed) == 0
            ]
        )

    def _may_begin(self, name: str) -> bool:
        words = BY_NAME[name].vocabulary
        return not words or any(word.startswith(fold(self.typed)) for word in words)

    def _closed_query(self, text: str) -> str:
        return self.place.filled(self.place.closed(text))

    def _search_any(self, condition: str = "") -> Search:
        """Search what matches with some value, or without one, and a condition."""
        # Which devices lie in a range says nothing of where it may end.
        is_bound = self.place.role is Role.BOUND
        query = "*" if is_bound else self._closed_query("*")
        if self.others:
            query = f"({query}) OR ({self.others})"
        return self._search(f"({query}) AND {condition}" if condition else query)

    def _search(self, query: str) -> Search:
        return open_search(self.tenants, query, self.status)

    def _candidates(self, ref: FieldRef) -> Iterator[CountedText]:
        """Yield values of the field that fit, counted where any value may stand."""
        if ref.kind is Kind.DATE:
            yield from self._times()
        elif ref.name in OWN:
            yield from self._own(ref)
        elif ref.kind is Kind.BOOLEAN or ref.field.vocabulary:
            yield from self._closed(ref)
        else:
            yield from self._open(ref)

    def _times(self) -> Iterator[CountedText]:
        is_bound = self.place.role is Role.BOUND
        for place, (text, (after, before)) in enumerate(TIMES.items()):
            if text.startswith(self.typed):
                if is_bound:
                    yield CountedText(text, 0, place=place)
                else:
                    yield CountedText(f">{text}", 0, after, place=place)
                    yield CountedText(f"<{text}", 0, before, place=place + len(TIMES))

    def _closed(self, ref: FieldRef) -> Iterator[CountedText]:
        """Yield all words of a closed vocabulary, those that no device has as well."""
        words = ref.field.vocabulary or ("true", "false")
        counts = {
            _text(value): count for value, count in _counts(self._search_any(), ref)
        }
        for word in words:
            if (fit := _fit(ref, word, self.typed)) is not None:
                yield CountedText(word, counts.get(word, 0), fit=fit)

    def _open(self, ref: FieldRef) -> Iterator[CountedText]:
        seen: dict[str, CountedText] = {}
        for condition in self._narrowed(ref):
            counts = _counts(self._search_any(condition), ref)
            self.has_all_values = self.has_all_values and len(counts) < MOST_COUNTED
            for value, count in counts:
                fit = _fit(ref, value, self.typed)
                if value != "" and fit is not None:
                    row = CountedText(_text(value), count, fit=fit)
                    seen.setdefault(row.text, row)
            if len(seen) >= MOST_VALUES:
                break
        yield from seen.values()

    def _narrowed(self, ref: FieldRef) -> list[str]:
        """Conditions that leave few values to count: they begin, or contain, so."""
        if not self.typed or ref.kind not in PATTERNED:
            return [""]
        text = _escaped(self.typed)
        if ref.field.is_exact:
            return [f"{ref}:{text}*"]
        if ref.kind is Kind.VERSION:
            return [f"{ref}:{text}*", ""]  # no pattern finds the v of v1.4.2
        return [f"{ref}:{text}*", f"{ref}:*{text}*"]

    def _own(self, ref: FieldRef) -> Iterator[CountedText]:
        """Yield the values of the first devices, in the order of the field."""
        condition = f"{ref}:{_escaped(self.typed)}*" if self.typed else ""
        if ref.kind is Kind.TEXT:
            *before, last = words_of(self.typed) or [""]
            words = [*before, f"{last}*"] if last else []
            condition = " AND ".join(f"{ref}:{_escaped_word(word)}" for word in words)
        page = self._search_any(condition).page(
            ref.field, descending=False, after=None, limit=MOST_VALUES
        )
        values = dict.fromkeys(document.get(ref.name) for document in page.documents)
        for value in values:
            if value:
                yield CountedText(
                    quote(value), 0, fit=_fit(ref, value, self.typed) or 0
                )

    def _counted(self, found: list[CountedText]) -> list[CountedText]:
        """Return the best candidates, each with the total of the query with it."""
        found.sort(key=_rank)
        is_counted = self._is_counted()
        rows = []
        for row in found:
            try:
                search = self._search(self._closed_query(row.text))
            except QueryError:
                continue
            count = row.count if is_counted else search.count()
            rows.append(replace(row, text=self.place.closed(row.text), count=count))
            if len(rows) == MOST_VALUES:
                break
        return sorted(rows, key=_rank)

    def _is_counted(self) -> bool:
        """Whether the count of a value is the total of the query with it."""
        field = self.place.field
        if self.others or self.place.role is Role.BOUND or not self.has_all_values:
            return False
        is_own = field is not None and field.name in OWN
        return not is_own and (field is None or field.kind is not Kind.DATE)


def _rank(row: CountedText) -> tuple[int, int, int, str]:
    return row.fit, row.place, -row.count, row.text


def _counts(search: Search, ref: FieldRef) -> list[tuple[Any, int]]:
    """Count the values of a field; the most frequent 50 of its numbers."""
    rows = dict(search.values([ref])[ref])
    if ref.kind in (Kind.NUMBER, Kind.JSON):
        rows |= {row["value"]: row["count"] for row in search.facet(ref)}
    return list(rows.items())


def _fit(ref: FieldRef, value: Any, typed: str) -> int | None:
    """Return 0 if a value begins as typed, 1 if it contains that, else None."""
    text = _plain(value)
    texts = [text] if ref.field.is_exact else [fold(text)]
    if ref.kind is Kind.VERSION:
        texts += pattern_forms(ref.field, text)
    wanted = typed if ref.field.is_exact else fold(typed)
    places = [text.find(wanted) for text in texts]
    found = [place for place in places if place >= 0]
    return int(min(found) > 0) if found else None


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _text(value: Any) -> str:
    """Return a counted value as it is written in a query."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _plain(value) if is_number else quote(_plain(value))


def _escaped(text: str) -> str:
    return re.sub(r"(\W)", r"\\\1", text)


def _escaped_word(text: str) -> str:
    return _escaped(text.removesuffix("*")) + text[len(text.removesuffix("*")) :]
