"""How the platform itself does: dead letters, and what waits to be judged."""

from __future__ import annotations

from typing import Any

from state.models import DeadLetterCount, RiskMark


def dead_letter_figures() -> dict[str, Any]:
    """Return how many dead letters there ever were, in all and by reason."""
    by_reason = dict(
        DeadLetterCount.objects.order_by("reason").values_list("reason", "total")
    )
    return {"total": sum(by_reason.values()), "by_reason": by_reason}


def count_risk_marks() -> int:
    """Return how many marks wait for a risk to be judged again."""
    return RiskMark.objects.count()
