"""The REST paths of state, under /api/v1/."""

from django.urls import path

from state.api import alarm_rules, alarms, condition, maintenance
from state.api.telemetry import TelemetryView

urlpatterns = [
    path("devices/<str:uid>/state/", condition.StateView.as_view()),
    path("devices/<str:uid>/feedback/", condition.FeedbackView.as_view()),
    path("devices/<str:uid>/telemetry/", TelemetryView.as_view()),
    path("maintenance-windows/", maintenance.WindowListView.as_view()),
    path("maintenance-windows/<uuid:window_id>/", maintenance.WindowView.as_view()),
    path(
        "maintenance-windows/<uuid:window_id>/end/",
        maintenance.WindowEndView.as_view(),
    ),
    path("alarm-rules/", alarm_rules.RuleListView.as_view()),
    path("alarm-rules/try/", alarm_rules.RuleTrialView.as_view()),
    path("alarm-rules/<uuid:rule_id>/", alarm_rules.RuleView.as_view()),
    path("alarms/", alarms.AlarmListView.as_view()),
    path("alarms/acknowledge/", alarms.AlarmsAcknowledgeView.as_view()),
    path("alarms/<str:alarm_id>/", alarms.AlarmView.as_view()),
    path(
        "alarms/<str:alarm_id>/acknowledge/",
        alarms.AlarmAcknowledgeView.as_view(),
    ),
]
