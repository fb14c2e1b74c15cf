"""Rows of the fleet index."""

from fleet.models.calls import CohortCall, CohortMember, CohortWatch
from fleet.models.cohorts import Cohort, CohortSize, Snapshot, SnapshotMember
from fleet.models.edits import EditedDevice, FleetEdit
from fleet.models.index import IndexState, Outbox
from fleet.models.policies import PolicyCompliance, PolicyMember, StandingPolicy

__all__ = [
    "Cohort",
    "CohortCall",
    "CohortMember",
    "CohortSize",
    "CohortWatch",
    "EditedDevice",
    "FleetEdit",
    "IndexState",
    "Outbox",
    "PolicyCompliance",
    "PolicyMember",
    "Snapshot",
    "SnapshotMember",
    "StandingPolicy",
]
