"""Models of state: evidence about devices, and the verdicts made from it."""

from state.models.alarms import Alarm, AlarmChange, EventOrder
from state.models.attention import AttentionEntry
from state.models.field import FieldFeedback
from state.models.ingest import (
    BlindSpan,
    DeadLetter,
    DeadLetterCount,
    ListeningSlot,
    SweepMark,
)
from state.models.judged import AdapterPath, CommandTally, LastFinding, Risk, RiskMark
from state.models.maintenance import HeldAlarm, MaintenancePlace, MaintenanceWindow
from state.models.past import PastStart, PastTwin
from state.models.presence import ConnectivityTransition, ExpectedDisconnect, Presence
from state.models.rules import AlarmRule
from state.models.telemetry import TelemetryRollup, TelemetrySummary
from state.models.twin import Twin, TwinChange

__all__ = [
    "AdapterPath",
    "Alarm",
    "AlarmChange",
    "AlarmRule",
    "AttentionEntry",
    "BlindSpan",
    "CommandTally",
    "ConnectivityTransition",
    "DeadLetter",
    "DeadLetterCount",
    "EventOrder",
    "ExpectedDisconnect",
    "FieldFeedback",
    "HeldAlarm",
    "LastFinding",
    "ListeningSlot",
    "MaintenancePlace",
    "MaintenanceWindow",
    "PastStart",
    "PastTwin",
    "Presence",
    "Risk",
    "RiskMark",
    "SweepMark",
    "TelemetryRollup",
    "TelemetrySummary",
    "Twin",
    "TwinChange",
]
