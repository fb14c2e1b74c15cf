"""The health of a job on its page: gate, hold, rollback, members before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from commands.choices import JobStatus
from commands.judgment.gate_words import ON_BREACH, metric_name
from commands.selectors.job_changes import is_reversible
from commands.selectors.job_gates import BREACHED, HOLDS, PASSES
from commands.selectors.job_health import health_of
from state.choices import Connectivity

if TYPE_CHECKING:
    from commands.models import Job

J = JobStatus
NONE = "\N{EN DASH}"  # where there is nothing to count
VERDICTS = {
    HOLDS: ("no verdict yet", ""),
    PASSES: ("passes", "good-text"),
    BREACHED: ("breached", "bad-text"),
}


def job_health(job: Job) -> dict[str, Any]:
    """Return what the page shows of a job's health; parts that are not known are None.

    ``may_roll_back`` and ``may_lift`` say what the job's state allows.
    """
    health = health_of([job])
    held = health["held"].get(job.pk)
    rolled_back_by: UUID | None = health["rolled_back_by"].get(job.pk)
    known = health["before_after"].get(job.pk)
    return {
        "gate": _gate(job, health["gates"].get(job.pk)),
        "held": held,
        "rollback_of": health["rollback_of"].get(job.pk),
        "rolled_back_by": rolled_back_by,
        "before_after": _before_after(known) if known else None,
        "may_roll_back": known is not None
        and is_reversible(job)
        and rolled_back_by is None,
        "may_lift": held is not None and held.lifted_at is None,
    }


def _gate(job: Job, found: dict[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    gate = job.rollout["health_gate"]
    label, css = VERDICTS[found["verdict"]]
    return {
        "label": label,
        "css": css,
        "text": found["text"],
        "metric": metric_name(gate),
        "on_breach": ON_BREACH[gate["on_breach"]],
        "updated": _group(found["updated"]),
        "control": _group(found["control"]),
        "bound": _percent(found["bound"]),
    }


def _group(group: dict[str, Any]) -> str:
    if not group["n"]:
        return "none observed yet"
    return f"{_percent(group['value'])} of {group['n']:,}"


def _before_after(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of a table: members and others, each at start and end."""
    moments = [known["start"], known["end"]]
    cells = [
        moment and moment[group]
        for group in ("members", "others")
        for moment in moments
    ]
    rows = [{"label": "Devices", "cells": [_number(c and c["devices"]) for c in cells]}]
    for status in Connectivity:
        counts = [c and c["connectivity"].get(status.value, 0) for c in cells]
        if any(counts):
            shares = [_share(c, n) for c, n in zip(cells, counts, strict=True)]
            rows.append({"label": status.label.capitalize(), "cells": shares})
    risks = [_number(c and c["risk"]) for c in cells]
    rows.append({"label": "Risk, on average", "cells": risks})
    return rows


def _share(cell: dict[str, Any] | None, count: int | None) -> str:
    if not cell or not cell["devices"]:
        return NONE
    return _percent((count or 0) / cell["devices"])


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:,g}"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f} %"
