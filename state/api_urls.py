"""REST paths of state, under /api/v1/."""

from django.urls import path

from state import alarms_api, api, maintenance_api, rules_api
from state.telemetry_api import TelemetryView

urlpatterns = [
    path("devices/<str:uid>/state/", api.StateView.as_view()),
    path("devices/<str:uid>/feedback/", api.FeedbackView.as_view()),
    path("devices/<str:uid>/telemetry/", TelemetryView.as_view()),
    path("maintenance-windows/", maintenance_api.WindowListView.as_view()),
    path("maintenance-windows/<uuid:window_id>/", maintenance_api.WindowView.as_view()),
    path(
        "maintenance-windows/<uuid:window_id>/end/",
        maintenance_api.WindowEndView.as_view(),
    ),
    path("alarm-rules/", rules_api.RuleListView.as_view()),
    path("alarm-rules/try/", rules_api.RuleTrialView.as_view()),
    path("alarm-rules/<uuid:rule_id>/", rules_api.RuleView.as_view()),
    path("alarms/", alarms_api.AlarmListView.as_view()),
    path("alarms/<str:alarm_id>/", alarms_api.AlarmView.as_view()),
    path(
        "alarms/<str:alarm_id>/acknowledge/",
        alarms_api.AlarmAcknowledgeView.as_view(),
    ),
]
