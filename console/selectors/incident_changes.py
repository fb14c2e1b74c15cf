"""What was changed before an incident, ranked: the likely reason first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from commands.selectors.past_changes import list_job_changes
from console.judgment.change_rank import Candidate, rank
from console.models import Incident
from registry.selectors.past_changes import list_edits_before
from state.selectors.past_changes import list_twin_changes, list_window_changes

LOOKS_BACK = timedelta(hours=24)
SHOWN = 5

Change = dict[str, Any]


def find_changes(row: Incident, members: Sequence[int]) -> list[Change]:
    """Return the changes that may have caused it; empty where nothing stands out."""
    if not members:
        return []
    until: datetime = row.first_evidence_at
    given: dict[str, Any] = {
        "tenant_id": row.tenant_id,
        "members": list(members),
        "since": until - LOOKS_BACK,
        "until": until,
    }
    candidates: list[Candidate] = []
    for read in (
        list_job_changes,
        list_twin_changes,
        list_window_changes,
        list_edits_before,
    ):
        candidates += [Candidate(*found) for found in read(**given)]
    ranked = rank(candidates, size=len(members), until=until)
    return [
        {
            "at": each.at,
            "kind": each.kind,
            "text": each.text,
            "share": round(each.covered / len(members), 3),
            "object": {"kind": each.kind, "id": each.object_id, "name": each.name},
        }
        for each in ranked[:SHOWN]
    ]
