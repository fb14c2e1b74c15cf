"""Figures about the platform itself: dead letters, and risks to be judged."""

from __future__ import annotations

from typing import Any

from state.models import DeadLetterCount, RiskMark


def dead_letter_figures() -> dict[str, Any]:
    """Return how many messages were ever rejected, in total and by reason."""
    by_reason = dict(
        DeadLetterCount.objects.order_by("reason").values_list("reason", "total")
    )
    return {"total": sum(by_reason.values()), "by_reason": by_reason}


def count_risk_marks() -> int:
    """Return how many devices are marked for a new judgment of their risk."""
    return RiskMark.objects.count()
