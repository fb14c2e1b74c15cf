"""Record what people on site saw."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from state.choices import Observation
from state.models import FieldFeedback

if TYPE_CHECKING:
    from registry.models import Device, User


def record_feedback(
    *,
    device: Device,
    observation: Observation,
    note: str,
    by: User,
    at: datetime,
) -> FieldFeedback:
    """Record one observation; diagnosis and timeline use it."""
    return FieldFeedback.objects.create(
        tenant_id=device.tenant_id,
        device=device,
        observation=observation,
        note=note,
        by=by,
        at=at,
    )
