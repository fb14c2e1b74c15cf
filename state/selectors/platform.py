"""Figures about the platform itself: its dead letters."""

from __future__ import annotations

from typing import Any

from state.models import DeadLetterCount


def dead_letter_figures() -> dict[str, Any]:
    """Return how many messages were ever rejected, in total and by reason."""
    by_reason = dict(
        DeadLetterCount.objects.order_by("reason").values_list("reason", "total")
    )
    return {"total": sum(by_reason.values()), "by_reason": by_reason}
