"""What the devices of a search share, and the rest of the fleet does not.

Every field whose values can be counted is tried, every key that a product declares, and
pairs of the values that the set has often. One stands out if it is much more frequent
than in the fleet, and if chance explains that hardly, however many were tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from fleet.backends.engine import Counted, Search
from fleet.exceptions import QueryError
from fleet.fields import FIELDS, FieldRef, Kind
from fleet.normal_forms import value_form
from fleet.query.clauses import (
    Clause,
    field_clause,
    field_names,
    join_clauses,
    split_query,
)
from fleet.query.parser import parse
from fleet.query.tree import All, Node
from fleet.selectors.known_keys import known_keys
from fleet.selectors.lag import IndexStatus
from fleet.selectors.over_representation import Share, corrected, log_chances
from fleet.selectors.search import answering, compile_within, open_search
from fleet.selectors.trait_pairs import Pair, Sides, Single, find_pairs
from registry.models import Tenant

# Below this lift or share a value explains little, however sure it is.
LEAST_LIFT = 1.5
LEAST_SHARE = 0.2
LEAST_COUNT = 3
MOST_CHANCE = 0.01  # after the correction for all values that were tried
MOST_TRAITS = 100
MOST_KEYS = 300  # a column each: more declared keys than this are not tried
# Each device has its own, so no two share it.
OWN = frozenset({"uid", "serial"})
# What follows from a trouble rather than explains it: listed after all others.
SYMPTOMS = frozenset(
    {
        *("connectivity", "cause", "drift", "disconnects_72h", "risk", "risk_reasons"),
        "heartbeat_risk",
        *("alarms", "alarms_info", "alarms_warning", "alarms_critical", "last_alarm"),
        *("pending_commands", "command_failure_rate", "last_command"),
        *("last_command_status", "last_command_failure_class"),
    }
)

Value = str | int | float | bool
Key = tuple[FieldRef, Any]  # values with equal keys are the same to a query


@dataclass(frozen=True, slots=True)
class Condition:
    """A field, and the value that it has."""

    field: str
    value: Value
    clause: Clause


@dataclass(frozen=True, slots=True)
class Trait:
    """A value, or a pair of values, that stands out in a set of devices."""

    conditions: tuple[Condition, ...]
    query: str  # finds the devices that have it
    counted: Share
    p_value: float
    at_risk_query: str  # finds those of them that are not in the set

    @property
    def at_risk(self) -> int:
        return self.counted.fleet_count - self.counted.count


@dataclass(frozen=True, slots=True)
class SharedTraits:
    """The traits of a set, the strongest first."""

    total: int
    fleet_total: int
    traits: list[Trait]


def find_traits(
    *, tenants: Iterable[Tenant], q: str, status: IndexStatus | None = None
) -> SharedTraits:
    """Return what the matches share, except by the fields that the query names.

    The fleet is all that these tenants and their member limits allow. ``status``
    as in ``open_search``. Raises QueryError and IndexUnavailable.
    """
    tenants = list(tenants)
    asked = field_names(split_query(q))
    refs = [ref for ref in _tried(tenants) if str(ref) not in asked]
    with answering():
        here = open_search(tenants, q, status)

        def within(node: Node) -> Any:
            return compile_within(here.compiler, node, tenants)

        whole = here.same_moment(within(All()))
        total, fleet_total = here.count(), whole.count()
        if not total or total >= fleet_total:
            return SharedTraits(total, fleet_total, [])
        found = _count(here, refs)
        singles = _singles(whole, found, total, fleet_total)
        least = max(LEAST_COUNT, ceil(LEAST_SHARE * total))
        pairs, tried = find_pairs(
            Sides(here, whole, within, parse(q, known_keys(tenants))),
            [single for single in singles if single.ref.name not in SYMPTOMS],
            tried=len(found),
            least=least,
            chance=MOST_CHANCE,
        )
    return SharedTraits(total, fleet_total, _standing_out(singles, pairs, q, tried))


def value_text(value: Value) -> str:
    """Return a value as a query writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tried(tenants: Sequence[Tenant]) -> list[FieldRef]:
    """Return each field and declared key whose values can be counted."""
    plain = [field for field in FIELDS if field.facets and field.kind is not Kind.JSON]
    refs = [FieldRef(field.name) for field in plain if field.name not in OWN]
    declared = known_keys(tenants).declared
    keys = [FieldRef(name, key) for name in declared for key in sorted(declared[name])]
    return refs + keys[:MOST_KEYS]


def _count(search: Search, refs: Sequence[FieldRef]) -> dict[Key, Counted]:
    """Count each value; spellings that a query does not tell apart are one."""
    return {
        (ref, value_form(ref, value)): (value, count)
        for ref, rows in search.values(refs).items()
        for value, count in rows
    }


def _singles(
    whole: Search, found: dict[Key, Counted], total: int, fleet_total: int
) -> list[Single]:
    """Return the values that are frequent in the set, with the fleet's counts."""
    common = {
        key: row
        for key, row in found.items()
        if row[1] >= max(LEAST_COUNT, LEAST_SHARE * total)
    }
    base = _count(whole, list(dict.fromkeys(ref for ref, _ in common)))
    rows = []
    for key, (value, count) in common.items():
        clause = _clause(key[0], value)
        # The numbers of a column may be few here and many in the fleet.
        if clause is None or key not in base:
            continue
        counted = Share(min(count, total), total, base[key][1], fleet_total)
        rows.append((key, value, clause, counted))
    chances = log_chances([row[-1] for row in rows])
    return [
        Single(ref, _value(value), same, clause, counted, chance)
        for ((ref, same), value, clause, counted), chance in zip(
            rows, chances, strict=True
        )
    ]


def _clause(ref: FieldRef, value: Any) -> Clause | None:
    """Return the condition that finds a value; None if no query does."""
    try:
        return (
            None if value == "" else field_clause(str(ref), value_text(_value(value)))
        )
    except QueryError:
        return None


def _standing_out(
    singles: Sequence[Single], pairs: Sequence[Pair], q: str, tried: int
) -> list[Trait]:
    """Return the traits that stand out; symptoms come last, the strongest first."""
    candidates: list[tuple[float, Share, tuple[Single, ...]]] = [
        (each.log_chance, each.counted, (each,)) for each in singles
    ]
    candidates += [
        (each.log_chance, each.counted, (each.first, each.second)) for each in pairs
    ]
    ranked = []
    for chance, counted, parts in candidates:
        p_value = corrected(chance, tried=tried)
        if counted.lift < LEAST_LIFT or p_value > MOST_CHANCE:
            continue
        names = [(str(part.ref), str(part.value)) for part in parts]
        is_symptom = any(part.ref.name in SYMPTOMS for part in parts)
        rank = (is_symptom, chance, -counted.lift, names)
        ranked.append((rank, _trait(parts, counted, p_value, q)))
    ranked.sort(key=lambda row: row[0])
    return [trait for _, trait in ranked][:MOST_TRAITS]


def _trait(parts: Sequence[Single], counted: Share, p_value: float, q: str) -> Trait:
    conditions = tuple(
        Condition(str(part.ref), part.value, part.clause) for part in parts
    )
    query = join_clauses(part.clause for part in parts)
    return Trait(conditions, query, counted, p_value, f"{query} AND NOT ({q})")


def _value(value: Any) -> Value:
    found: Value = value
    return int(found) if isinstance(found, float) and found.is_integer() else found
