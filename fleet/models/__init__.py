"""Rows of the fleet index."""

from fleet.models.calls import CohortCall, CohortMember, CohortWatch
from fleet.models.cohorts import Cohort, CohortSize, Snapshot, SnapshotMember
from fleet.models.index import IndexState, Outbox

__all__ = [
    "Cohort",
    "CohortCall",
    "CohortMember",
    "CohortSize",
    "CohortWatch",
    "IndexState",
    "Outbox",
    "Snapshot",
    "SnapshotMember",
]
