"""A diagnosis in the shape of the API: its sentence, and the rows it was made from."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from state.choices import Trouble
from state.judgment.diagnosis import Diagnosis
from state.judgment.diagnosis_evidence import DiagnosisEvidence, Group

# The time in which a device must have had the trouble to count as affected.
WINDOW_IN_WORDS = {
    Trouble.SILENT: "now, or within the last hour",
    Trouble.COMMANDS: "within the last 24 hours",
    Trouble.FLAPPING: "within the last 72 hours",
}


def present(
    found: Diagnosis, evidence: DiagnosisEvidence, now: datetime
) -> dict[str, Any]:
    """Return the diagnosis; each number of its sentence is in one of the rows."""
    return {
        "verdict": found.verdict.value,
        "confidence": found.confidence,
        "where": found.where or None,
        "text": found.text,
        "trouble": evidence.trouble.value,
        "window": WINDOW_IN_WORDS.get(evidence.trouble, "now"),
        "evidence": [*_counted(evidence), *_facts(evidence)],
        "at": now,
    }


def _counted(evidence: DiagnosisEvidence) -> list[dict[str, Any]]:
    rows = [
        _row(
            trait,
            group,
            evidence.rest(group),
            f"{group.affected:,} of {group.total:,} other devices with the same"
            f" {trait} are affected",
        )
        for trait, group in evidence.groups.items()
        if group.total
    ]
    if (fleet := evidence.fleet).total:
        text = (
            f"{fleet.affected:,} of {fleet.total:,} devices of the fleet are affected"
        )
        rows.append(_row("fleet", fleet, evidence.rest(fleet), text))
    return rows


def _row(name: str, group: Group, rest: Group, text: str) -> dict[str, Any]:
    return {
        "name": name,
        "value": group.value,
        "affected": group.affected,
        "total": group.total,
        "rest_affected": rest.affected,
        "rest_total": rest.total,
        "text": text,
    }


def _facts(evidence: DiagnosisEvidence) -> list[dict[str, Any]]:
    facts = []
    if evidence.feedback is not None:
        facts.append(("feedback", f"people on site report “{evidence.feedback.label}”"))
    if evidence.gateway_is_away:
        facts.append(("gateway", "its gateway is not online"))
    if evidence.trouble == Trouble.BLIND or evidence.began_blind:
        facts.append(("listening", "the platform was not listening when it began"))
    if evidence.path is not None and evidence.path.tries:
        facts.append(("path", evidence.path.describe()))
    if evidence.set_size > 1:
        facts.append(("set", f"{evidence.set_size:,} of these devices are affected"))
    return [{"name": name, "value": "", "text": text} for name, text in facts]
