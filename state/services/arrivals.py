"""Messages together with the device that sent them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from iotplatform.common.messages import Uplink
    from registry.selectors.devices import IngestDevice


class Arrival(Struct, frozen=True):
    """A message and its device."""

    uplink: Uplink
    device: IngestDevice


class Report(Arrival, frozen=True):
    """A reported document, and the session in which it came."""

    session: str
