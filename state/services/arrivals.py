"""A message together with the device that it is from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iotplatform.common.messages import Uplink
    from registry.selectors.devices import IngestDevice


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message and its device, resolved."""

    uplink: Uplink
    device: IngestDevice


@dataclass(frozen=True, slots=True)
class Report(Arrival):
    """A reported document, and the session in which it came."""

    session: str
