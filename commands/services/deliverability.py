"""Which devices certainly cannot be reached now."""

from __future__ import annotations

from state.choices import Connectivity
from state.selectors import ASLEEP, GATEWAY_AWAY

# Suspect and stale ones are not among them: they may still listen.
AWAY = frozenset({Connectivity.OFFLINE.value, ASLEEP, GATEWAY_AWAY})
