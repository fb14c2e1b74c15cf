"""What the matches of a search share, as rows with links."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from console.presenters.labels import cause_label
from console.presenters.search_results import fleet_url
from fleet.query.clauses import Clause, join_clauses

if TYPE_CHECKING:
    from fleet.selectors.traits import Condition, SharedTraits, Trait

MAX_ROWS = 8
# Where a key is from, before its name.
SOURCES = {"attr": "", "reported": "reported ", "metric": "metric "}


def shared_trait_rows(
    found: SharedTraits, conditions: Sequence[Clause], sort: str = ""
) -> list[dict[str, Any]]:
    """Return the strongest traits; each links to the matches that have it."""
    return [_row(trait, conditions, sort) for trait in found.traits[:MAX_ROWS]]


def field_label(field: str) -> str:
    """Return the name of a field or a key as a person would write it."""
    source, dot, key = field.partition(".")
    name = f"{SOURCES.get(source, '')}{key}" if dot else field
    return name.replace("_", " ").capitalize()


def _row(trait: Trait, conditions: Sequence[Clause], sort: str) -> dict[str, Any]:
    counted = trait.counted
    narrowed = join_clauses([*conditions, *(each.clause for each in trait.conditions)])
    return {
        "text": " and ".join(_condition_text(each) for each in trait.conditions),
        "count": counted.count,
        "total": counted.total,
        "lift": counted.lift,
        "share": counted.share,
        "base_share": counted.fleet_share,
        "width": f"{100 * counted.share:.1f}%",
        "base_width": f"{100 * counted.fleet_share:.1f}%",
        "url": fleet_url(q=narrowed, sort=sort),
        "at_risk": trait.at_risk,
        "at_risk_url": fleet_url(q=trait.at_risk_query),
    }


def _condition_text(condition: Condition) -> str:
    value = str(condition.value)
    if isinstance(condition.value, bool):
        value = "yes" if condition.value else "no"
    if condition.field == "cause":
        value = cause_label(value)
    return f"{field_label(condition.field)} {value}"
