"""REST paths of the fleet index, under /api/v1/."""

from django.urls import path

from fleet.api import cohorts, export, jobs, past, search, snapshots, suggest

urlpatterns = [
    path("fleet/search/", search.FleetSearchView.as_view()),
    path("fleet/changes/", past.FleetChangesView.as_view()),
    path("fleet/traits/", search.FleetTraitsView.as_view()),
    path("fleet/export/", export.FleetExportView.as_view()),
    path("fleet/suggest/", suggest.FleetSuggestView.as_view()),
    path("fleet/fields/", search.FleetFieldsView.as_view()),
    path("cohorts/", cohorts.CohortListView.as_view()),
    path("cohorts/<str:cohort_id>/", cohorts.CohortDetailView.as_view()),
    path("cohorts/<str:cohort_id>/snapshot/", snapshots.CohortSnapshotView.as_view()),
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
]
