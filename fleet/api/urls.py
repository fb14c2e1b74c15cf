"""REST paths of the fleet index, under /api/v1/."""

from django.urls import path

from fleet.api import (
    cohorts,
    edits,
    export,
    firmware,
    jobs,
    past,
    policies,
    search,
    snapshots,
    suggest,
)

urlpatterns = [
    path("fleet/search/", search.FleetSearchView.as_view()),
    path("fleet/changes/", past.FleetChangesView.as_view()),
    path("fleet/traits/", search.FleetTraitsView.as_view()),
    path("fleet/export/", export.FleetExportView.as_view()),
    path("fleet/edit/", edits.EditListView.as_view()),
    path("fleet/edit/<str:edit_id>/", edits.EditDetailView.as_view()),
    path("fleet/edit/<str:edit_id>/undo/", edits.EditUndoView.as_view()),
    path("fleet/edit/<str:edit_id>/file/", edits.EditFileView.as_view()),
    path("fleet/firmware/", firmware.FleetFirmwareView.as_view()),
    path("fleet/suggest/", suggest.FleetSuggestView.as_view()),
    path("fleet/fields/", search.FleetFieldsView.as_view()),
    path("cohorts/", cohorts.CohortListView.as_view()),
    path("cohorts/<str:cohort_id>/", cohorts.CohortDetailView.as_view()),
    path("cohorts/<str:cohort_id>/snapshot/", snapshots.CohortSnapshotView.as_view()),
    path("standing-policies/", policies.PolicyListView.as_view()),
    path("standing-policies/<str:policy_id>/", policies.PolicyDetailView.as_view()),
    path("snapshots/", snapshots.SnapshotListView.as_view()),
    path("snapshots/<str:snapshot_id>/", snapshots.SnapshotDetailView.as_view()),
    path(
        "snapshots/<str:snapshot_id>/members/",
        snapshots.SnapshotMemberListView.as_view(),
    ),
    path(
        "snapshots/<str:snapshot_id>/difference/",
        snapshots.SnapshotDifferenceView.as_view(),
    ),
    path("jobs/", jobs.JobListView.as_view()),
    path("jobs/<str:job_id>/start/", jobs.StartJobView.as_view()),
]
