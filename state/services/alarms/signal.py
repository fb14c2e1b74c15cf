"""What raises or clears an alarm: a device's event, or a rule on its values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from registry.selectors.devices import IngestDevice


@dataclass(frozen=True, slots=True)
class Signal:
    """A report that an alarm condition is present, or is over."""

    device: IngestDevice
    code: str
    severity: str
    is_raised: bool
    message: str
    at: datetime  # of arrival: a device's clock may be wrong
    rule_id: int | None = None
    hold_seconds: int = 0  # how long it must last before the alarm is raised
