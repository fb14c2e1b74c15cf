"""REST paths of the console, under /api/v1/."""

from django.urls import path

from console.api import (
    incidents,
    notification_rules,
    notifications,
    playbook_runs,
    playbooks,
    sla,
    sla_report,
    webhooks,
    work_items,
)

urlpatterns = [
    path("work-items/", work_items.WorkItemListView.as_view()),
    path("work-items/<str:item_id>/", work_items.WorkItemView.as_view()),
    path("work-items/<str:item_id>/claim/", work_items.WorkItemClaimView.as_view()),
    path("work-items/<str:item_id>/release/", work_items.WorkItemReleaseView.as_view()),
    path("work-items/<str:item_id>/close/", work_items.WorkItemCloseView.as_view()),
    path("playbooks/", playbooks.PlaybookListView.as_view()),
    path("playbooks/<str:playbook_id>/", playbooks.PlaybookDetailView.as_view()),
    path("playbooks/<str:playbook_id>/runs/", playbooks.PlaybookRunStartView.as_view()),
    path("playbook-runs/", playbook_runs.RunListView.as_view()),
    path("playbook-runs/<str:run_id>/", playbook_runs.RunDetailView.as_view()),
    path(
        "playbook-runs/<str:run_id>/devices/",
        playbook_runs.RunDeviceListView.as_view(),
    ),
    path(
        "playbook-runs/<str:run_id>/steps/<str:number>/",
        playbook_runs.RunAnswerView.as_view(),
    ),
    path(
        "playbook-runs/<str:run_id>/steps/<str:number>/skip/",
        playbook_runs.RunSkipView.as_view(),
    ),
    path(
        "playbook-runs/<str:run_id>/steps/<str:number>/retry/",
        playbook_runs.RunRetryView.as_view(),
    ),
    path("playbook-runs/<str:run_id>/stop/", playbook_runs.RunStopView.as_view()),
    path("webhooks/", webhooks.WebhookListView.as_view()),
    path("webhooks/<str:webhook_id>/", webhooks.WebhookDetailView.as_view()),
    path("webhooks/<str:webhook_id>/test/", webhooks.WebhookTestView.as_view()),
    path("webhook-hosts/", webhooks.WebhookHostListView.as_view()),
    path("webhook-hosts/<str:host_id>/", webhooks.WebhookHostDetailView.as_view()),
    path("notification-rules/", notification_rules.RuleListView.as_view()),
    path(
        "notification-rules/<str:notification_rule_id>/",
        notification_rules.RuleDetailView.as_view(),
    ),
    path(
        "notification-rules/<str:notification_rule_id>/test/",
        notification_rules.RuleTestView.as_view(),
    ),
    path("notifications/", notifications.NotificationListView.as_view()),
    path(
        "notifications/<str:notification_id>/", notifications.NotificationView.as_view()
    ),
    path(
        "notifications/<str:notification_id>/replay/",
        notifications.NotificationReplayView.as_view(),
    ),
    path("incidents/", incidents.IncidentListView.as_view()),
    path("incidents/<str:incident_id>/", incidents.IncidentView.as_view()),
    path(
        "incidents/<str:incident_id>/claim/",
        incidents.IncidentClaimView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/release/",
        incidents.IncidentReleaseView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/assign/",
        incidents.IncidentAssignView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/acknowledge/",
        incidents.IncidentAcknowledgeView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/snooze/",
        incidents.IncidentSnoozeView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/note/",
        incidents.IncidentNoteView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/resolve/",
        incidents.IncidentResolveView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/reopen/",
        incidents.IncidentReopenView.as_view(),
    ),
    path(
        "incidents/<str:incident_id>/merge/",
        incidents.IncidentMergeView.as_view(),
    ),
    path("sla-policies/", sla.PolicyListView.as_view()),
    path("sla-policies/<str:sla_policy_id>/", sla.PolicyView.as_view()),
    path("reports/sla/", sla_report.SlaReportView.as_view()),
]
