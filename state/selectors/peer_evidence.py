"""The evidence of one device from the counts of its peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

from state.choices import Trouble
from state.judgment.diagnosis_evidence import DiagnosisEvidence, Group, PathFigures
from state.models import AdapterPath
from state.selectors.peers import FLEET, Count, Counts

# Trait → its key in the counts, and the name that people know it by.
Traits: TypeAlias = Mapping[str, tuple[str, str]]


def count_evidence(
    trouble: Trouble,
    traits: Traits,
    counts: Counts,
    *,
    gateway: int | None,
    gateway_is_away: bool,
    path: PathFigures | None,
) -> DiagnosisEvidence:
    """Return what the counts say of a device; ``gateway`` is its key if it is one."""
    evidence = DiagnosisEvidence(
        trouble=trouble,
        groups={
            trait: _without(counts.get((trait, key)), trouble, name)
            for trait, (key, name) in traits.items()
        },
        fleet=_without(counts.get(FLEET), trouble, "the whole fleet"),
        gateway_is_away=gateway_is_away,
        path=path,
    )
    return _without_children(evidence, counts, gateway) if gateway else evidence


def path_figures() -> dict[str, PathFigures]:
    """Return how each adapter path delivered commands lately."""
    return {
        row.adapter: PathFigures(
            row.adapter,
            row.tries,
            row.unanswered,
            row.latency_p95_ms,
            row.usual_p95_ms,
        )
        for row in AdapterPath.objects.all()
    }


def _without(count: Count | None, trouble: Trouble, name: str) -> Group:
    """Return the group without the device itself, which is affected."""
    if count is None:
        return Group(name, 0, 0)
    return Group(name, max(0, count.of(trouble) - 1), max(0, count.total - 1))


def _without_children(
    evidence: DiagnosisEvidence, counts: Counts, gateway: int
) -> DiagnosisEvidence:
    """Leave a gateway's children out: they are silent because the gateway is."""
    children = counts.get(("gateway", str(gateway)), Count())
    lost = children.of(evidence.trouble)

    def less(group: Group) -> Group:
        total = max(0, group.total - children.total)
        return Group(group.value, min(total, max(0, group.affected - lost)), total)

    return replace(
        evidence,
        groups={trait: less(group) for trait, group in evidence.groups.items()},
        fleet=less(evidence.fleet),
    )
