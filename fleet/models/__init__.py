"""Rows of the fleet index."""

from fleet.models.cohorts import Cohort, Snapshot, SnapshotMember
from fleet.models.index import IndexState, Outbox

__all__ = ["Cohort", "IndexState", "Outbox", "Snapshot", "SnapshotMember"]
