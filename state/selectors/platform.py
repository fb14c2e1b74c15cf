"""How the platform itself does: dead letters, and what waits to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet

from registry.models import Tenant
from registry.selectors.reach import uids_within
from state.models import DeadLetter, DeadLetterCount, RiskMark


def dead_letter_figures() -> dict[str, Any]:
    """Return how many dead letters there ever were, in all and by reason."""
    by_reason = dict(
        DeadLetterCount.objects.order_by("reason").values_list("reason", "total")
    )
    return {"total": sum(by_reason.values()), "by_reason": by_reason}


def list_dead_letters(*, tenants: Sequence[Tenant]) -> QuerySet[DeadLetter]:
    """Return the dead letters that are kept of these tenants' devices, newest first."""
    return DeadLetter.objects.filter(uids_within(tenants)).order_by("-pk")


def count_risk_marks() -> int:
    """Return how many marks wait for a risk to be judged again."""
    return RiskMark.objects.count()
