"""What the devices of a search share, and the rest of the fleet does not.

Every field whose values can be counted is tried, and every key that a product declares.
A value stands out if it is much more frequent than in the fleet, and if chance explains
that hardly, however many values were tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.backends.engine import Counted, IndexFault, Search
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.fields import FIELDS, FieldRef, Kind
from fleet.normal_forms import value_form
from fleet.query.clauses import field_clause, field_names, split_query
from fleet.query.tree import All
from fleet.selectors.known_keys import known_keys
from fleet.selectors.over_representation import Share, corrected
from fleet.selectors.search import compile_within, open_search
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
        *("alarms", "alarms_info", "alarms_warning", "alarms_critical", "last_alarm"),
        *("pending_commands", "command_failure_rate", "last_command"),
        *("last_command_status", "last_command_failure_class"),
    }
)

Value = str | int | float | bool
Key = tuple[FieldRef, Any]  # values with equal keys are the same to a query


@dataclass(frozen=True, slots=True)
class Trait:
    """A value that stands out in a set of devices."""

    field: str
    value: Value
    query: str  # finds the devices that have it
    counted: Share
    p_value: float
    at_risk_query: str  # finds those of them that are not in the set

    @property
    def text(self) -> str:
        """Return the value as a query writes it."""
        return value_text(self.value)

    @property
    def at_risk(self) -> int:
        return self.counted.fleet_count - self.counted.count


@dataclass(frozen=True, slots=True)
class SharedTraits:
    """The traits of a set, the strongest first."""

    total: int
    fleet_total: int
    traits: list[Trait]


def find_traits(*, tenants: Iterable[Tenant], q: str) -> SharedTraits:
    """Return what the matches share, except by the fields that the query names.

    The fleet is all that these tenants and their member limits allow. Raises QueryError
    and IndexUnavailable.
    """
    tenants = list(tenants)
    asked = field_names(split_query(q))
    refs = [ref for ref in _tried(tenants) if str(ref) not in asked]
    here = open_search(tenants, q)
    whole = here.same_moment(compile_within(here.compiler, All(), tenants))
    try:
        total, fleet_total = here.count(), whole.count()
        if not total or total >= fleet_total:
            return SharedTraits(total, fleet_total, [])
        found = _count(here, refs)
        common = {
            key: row for key, row in found.items() if row[1] >= LEAST_SHARE * total
        }
        base = _count(whole, list(dict.fromkeys(ref for ref, _ in common)))
    except IndexFault as fault:
        raise IndexUnavailable from fault
    shares = {
        key: Share(min(count, total), total, base[key][1], fleet_total)
        for key, (_, count) in common.items()
        if key in base  # the numbers of a column may be few here and many in the fleet
    }
    traits = _standing_out(shares, common, q, tried=len(found))
    return SharedTraits(total, fleet_total, traits)


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


def _standing_out(
    shares: dict[Key, Share], found: dict[Key, Counted], q: str, *, tried: int
) -> list[Trait]:
    """Return the traits that stand out; symptoms come last, the strongest first."""
    ranked = []
    for (ref, same), counted in shares.items():
        value = _value(found[ref, same][0])
        if value == "" or counted.count < LEAST_COUNT or counted.lift < LEAST_LIFT:
            continue
        chance = counted.log_chance()
        p_value = corrected(chance, tried=tried)
        if p_value > MOST_CHANCE:
            continue
        rank = (ref.name in SYMPTOMS, chance, -counted.lift, str(ref), str(value))
        ranked.append((rank, _trait(ref, value, counted, p_value, q)))
    ranked.sort(key=lambda row: row[0])
    return [trait for _, trait in ranked if trait is not None][:MOST_TRAITS]


def _trait(
    ref: FieldRef, value: Value, counted: Share, p_value: float, q: str
) -> Trait | None:
    try:
        query = field_clause(str(ref), value_text(value)).text
    except QueryError:
        return None  # no query finds such a value
    others = f"{query} AND NOT ({q})"
    return Trait(str(ref), value, query, counted, p_value, others)


def _value(value: Any) -> Value:
    found: Value = value
    return int(found) if isinstance(found, float) and found.is_integer() else found
