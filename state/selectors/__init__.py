"""Reads of state."""

from state.selectors.adapter_liveness import ingest_figures, list_slots
from state.selectors.alarms import get_alarm, list_alarms
from state.selectors.by_device_ids import (
    ASLEEP,
    GATEWAY_AWAY,
    Sleep,
    count_by_connectivity,
    deliverability_of,
    desired_of,
    firmware_of,
    reports_of,
    sleeps_of,
)
from state.selectors.device import get_state, latest_telemetry
from state.selectors.platform import dead_letter_figures
from state.selectors.timeline import Stretch, timeline_entries

__all__ = [
    "ASLEEP",
    "GATEWAY_AWAY",
    "Sleep",
    "Stretch",
    "count_by_connectivity",
    "dead_letter_figures",
    "deliverability_of",
    "desired_of",
    "firmware_of",
    "get_alarm",
    "get_state",
    "ingest_figures",
    "latest_telemetry",
    "list_alarms",
    "list_slots",
    "reports_of",
    "sleeps_of",
    "timeline_entries",
]
