"""Generated documents and queries, from few values, so that they often match."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from fleet.backends.documents import FleetDocument
from fleet.fields import FieldRef
from fleet.query.tree import (
    All,
    And,
    Between,
    Day,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    RelativeTime,
    Wild,
    WordLike,
    Words,
)

NOW = datetime(2026, 11, 23, 12, 30, 15, 250_000, tzinfo=UTC)

texts = st.sampled_from(
    [
        "East China",
        "east china",
        "North",
        "a b",
        "B",
        "x.y",
        "Zürich",
        "日本",
        "ΟΔΟΣ",
        "οδος",
        "a*b",
        "5",
    ]
)
places = st.sampled_from(["hq", "hq/f-2", "HQ/f-2/r-7", "hq/f-22", "annex/f-2"])
words = st.sampled_from(
    ["pump", "cold", "store", "5", "zürich", "日本", "日", "本店", "5日", "日5本"]
)
names = st.lists(
    words | st.sampled_from(["Pump", "-", "COLD", "東日本店", "5日本"]), max_size=4
).map(" ".join)
versions = st.sampled_from(
    [
        *["1.4", "1.4.0", "1.4.2", "v1.4.10", "1.10", "2.0-rc1", "2.0", "2.0.0-rc.10"],
        *["x", "v1.4.2", " 1.4.2 ", "1.04.2", "2.0-RC.1"],
    ]
)
# Also the numbers at which the index changes the type, and one close to zero.
numbers = st.sampled_from([-80.0, -70.5, -1.0, 0.0, 0.5, 1.0, 2.0, 5.0, 5.5, 1e20]) | (
    st.sampled_from([-(2.0**63), -(2.0**52), 2.0**52 - 0.5, 2.0**63, 2.0**64, 1e-9])
)
moments = st.sampled_from(
    [NOW + timedelta(hours=h, milliseconds=m) for h in (-72, -36, 0) for m in (0, 1)]
) | st.just(datetime(2026, 11, 21, tzinfo=UTC))
keys = st.sampled_from(["rev", "modem.fw", "a b", "$s"])
scalars = st.sampled_from(
    ["B", "b", "5", "5.0", "2026-01-01T00:00:00Z", "true", True, False]
)
free = st.dictionaries(
    keys, scalars | numbers | st.lists(scalars | numbers, min_size=1, max_size=2)
)


@st.composite
def documents(draw: st.DrawFn) -> list[FleetDocument]:
    """Return a small fleet."""
    count = draw(st.integers(1, 12))
    return [
        FleetDocument(number, 1, draw(_values(number)))
        for number in range(1, count + 1)
    ]


def _values(number: int) -> st.SearchStrategy[dict[str, Any]]:
    optional: dict[str, st.SearchStrategy[Any]] = {
        "name": names,
        "region": texts,
        "space": places,
        "tags": st.lists(texts, max_size=2),
        "firmware": versions,
        "rssi": numbers,
        "since": moments,
        "drift": st.booleans(),
        "attr": free,
    }
    return st.fixed_dictionaries({"uid": st.just(f"dev-{number}")}, optional=optional)


def _ref(name: str) -> st.SearchStrategy[FieldRef]:
    return st.just(FieldRef(name))


attributes = keys.map(lambda key: FieldRef("attr", key))
relative = st.sampled_from([-72, -36, 0, 24]).map(
    lambda hours: RelativeTime(timedelta(hours=hours))
)
days = st.sampled_from([20, 21, 23]).map(
    lambda day: Day(datetime(2026, 11, day, tzinfo=UTC))
)
times = moments | relative | days
parts: st.SearchStrategy[str | Wild] = st.sampled_from(
    [
        Wild.MANY,
        Wild.ONE,
        "1.4",
        "1.04.",
        "rc",
        "a",
        "East",
        "日",
        "dev-",
        "DEV-",
        " ",
        "*",
        "ü",
    ]
)
patterns = st.lists(parts, min_size=2, max_size=4).map(lambda made: _normal(made))


def _normal(parts: list[str | Wild]) -> tuple[str | Wild, ...]:
    """Return a pattern as the parser does: joined texts, no two stars, a wildcard."""
    made: list[str | Wild] = [Wild.ONE]
    for part in parts:
        last = made[-1]
        if isinstance(part, str) and isinstance(last, str):
            made[-1] = last + part
        elif part is not Wild.MANY or last is not Wild.MANY:
            made.append(part)
    return tuple(made)


def _between(
    refs: st.SearchStrategy[FieldRef], ends: st.SearchStrategy[Any]
) -> st.SearchStrategy[Between]:
    closed = st.builds(Between, refs, ends, ends, st.booleans(), st.booleans())
    above = st.builds(Between, refs, ends, st.none(), st.booleans())
    below = st.builds(Between, refs, st.none(), ends, st.just(True), st.booleans())
    return closed | above | below


exact = st.builds(Equals, _ref("region") | _ref("tags") | _ref("uid"), texts)
conditions: st.SearchStrategy[Node] = st.one_of(
    st.just(All()),
    st.builds(Words, st.lists(words, min_size=1, max_size=2).map(tuple)),
    st.builds(Words, st.tuples(words), _ref("name")),
    st.builds(WordLike, patterns, st.none() | _ref("name")),
    exact,
    st.builds(Equals, _ref("firmware"), versions),
    st.builds(Equals, _ref("space"), places | texts),
    st.builds(Equals, _ref("rssi"), numbers),
    st.builds(Equals, _ref("since"), times),
    st.builds(Equals, _ref("drift"), st.booleans()),
    st.builds(Equals, attributes, texts | st.sampled_from(["true", "2.0", "-80"])),
    st.builds(Like, _ref("region") | _ref("firmware") | _ref("space"), patterns),
    st.builds(
        Exists,
        st.sampled_from(["name", "region", "tags", "firmware", "since", "drift"]).map(
            FieldRef
        )
        | attributes
        | st.just(FieldRef("attr", "modem")),
    ),
    _between(_ref("firmware"), versions),
    _between(_ref("rssi"), numbers),
    _between(_ref("since"), times),
    _between(attributes, numbers),
)
queries: st.SearchStrategy[Node] = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
