"""REST paths of the console, under /api/v1/."""

from django.urls import path

from console.api import work_items

urlpatterns = [
    path("work-items/", work_items.WorkItemListView.as_view()),
    path("work-items/<str:item_id>/", work_items.WorkItemView.as_view()),
    path("work-items/<str:item_id>/claim/", work_items.WorkItemClaimView.as_view()),
    path("work-items/<str:item_id>/release/", work_items.WorkItemReleaseView.as_view()),
    path("work-items/<str:item_id>/close/", work_items.WorkItemCloseView.as_view()),
]
