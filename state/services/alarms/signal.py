"""A complaint of a device, or its end: by its own event, or by a rule on its values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


@dataclass(frozen=True, slots=True)
class Said:
    """That something holds, or holds no more."""

    device: IngestDevice
    code: str
    severity: str
    is_raised: bool
    message: str
    at: datetime
    heard_at: datetime  # durations count from here, not by the device's clock
    rule_id: int | None = None
    hold_seconds: int = 0  # how long it must last to be an alarm
