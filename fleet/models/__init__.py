"""Rows of the fleet index."""

from fleet.models.cohorts import Cohort, CohortSize, Snapshot, SnapshotMember
from fleet.models.index import IndexState, Outbox

__all__ = ["Cohort", "CohortSize", "IndexState", "Outbox", "Snapshot", "SnapshotMember"]
