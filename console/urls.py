"""URLs of the console."""

from django.urls import path
from django.views.generic import RedirectView

from console.views import (
    alarms,
    audit,
    cohort_change,
    cohort_snapshots,
    cohorts,
    commands,
    dead_letters,
    device,
    device_files,
    device_state,
    fleet,
    jobs,
    keys,
    maintenance,
    members,
    platform,
    queue,
    rules,
    wizard,
)

app_name = "console"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="console:fleet"), name="home"),
    path("fleet/", fleet.fleet, name="fleet"),
    path("queue/", queue.queue, name="queue"),
    path("attention/", queue.attention, name="attention"),
    path("queue/<uuid:item_id>/<slug:action>/", queue.act, name="queue-act"),
    path("fleet/export/", fleet.export, name="fleet-export"),
    path("fleet/completions/", fleet.completions, name="fleet-completions"),
    path("find/", fleet.find, name="find"),
    path("trust/", platform.status, name="platform-status"),
    path("devices/<str:uid>/", device.device, name="device"),
    path("devices/<str:uid>/now/", device.now, name="device-now"),
    path("devices/<str:uid>/story/", device.timeline, name="device-timeline"),
    path(
        "devices/<str:uid>/course/",
        device_state.metric_charts,
        name="device-metrics",
    ),
    path("devices/<str:uid>/feedback/", device_state.feedback, name="device-feedback"),
    path("devices/<str:uid>/lifecycle/", device.move, name="device-lifecycle"),
    path("devices/<str:uid>/commands/", device.send, name="device-send"),
    path("cohorts/", cohorts.cohorts, name="cohorts"),
    path("cohorts/<uuid:cohort_id>/", cohorts.cohort, name="cohort"),
    path(
        "cohorts/<uuid:cohort_id>/change/", cohort_change.change, name="cohort-change"
    ),
    path(
        "cohorts/<uuid:cohort_id>/delete/", cohort_change.delete, name="cohort-delete"
    ),
    path(
        "cohorts/<uuid:cohort_id>/snapshots/",
        cohort_snapshots.snapshots,
        name="cohort-snapshots",
    ),
    path("cohorts/<uuid:cohort_id>/calls/", queue.cohort_calls, name="cohort-calls"),
    path("jobs/", jobs.jobs, name="jobs"),
    path("jobs/new/", wizard.new_job, name="new-job"),
    path("jobs/<uuid:job_id>/", jobs.job, name="job"),
    path("jobs/<uuid:job_id>/progress/", jobs.progress, name="job-progress"),
    path("jobs/<uuid:job_id>/<slug:action>/", jobs.act, name="job-act"),
    path("commands/", commands.commands, name="commands"),
    path("commands/<uuid:command_id>/", commands.command, name="command"),
    path("commands/<uuid:command_id>/now/", commands.now, name="command-now"),
    path(
        "commands/<uuid:command_id>/files/<uuid:file_id>/",
        device_files.file,
        name="device-file",
    ),
    path("commands/<uuid:command_id>/<slug:action>/", commands.act, name="command-act"),
    path("alarms/", alarms.alarms, name="alarms"),
    path(
        "alarms/<uuid:alarm_id>/acknowledge/",
        alarms.acknowledge,
        name="alarm-acknowledge",
    ),
    path("alarms/<uuid:alarm_id>/", alarms.alarm, name="alarm"),
    path("alarms/rules/", rules.rules, name="rules"),
    path("alarms/rules/new/", rules.new_rule, name="new-rule"),
    path("alarms/rules/<uuid:rule_id>/", rules.rule, name="rule"),
    path("alarms/rules/<uuid:rule_id>/<slug:action>/", rules.act, name="rule-act"),
    path("maintenance/", maintenance.windows, name="maintenance"),
    path(
        "maintenance/<uuid:window_id>/end/",
        maintenance.end,
        name="maintenance-end",
    ),
    path("dead-letters/", dead_letters.letters, name="dead-letters"),
    path("dead-letters/replay/", dead_letters.replay, name="dead-letters-replay"),
    path("dead-letters/<uuid:letter_id>/", dead_letters.letter, name="dead-letter"),
    path("audit/", audit.audit, name="audit"),
    path("keys/", keys.keys, name="keys"),
    path("keys/<uuid:key_id>/revoke/", keys.revoke, name="key-revoke"),
    path("members/", members.members, name="members"),
    path(
        "members/<uuid:membership_id>/change/",
        members.change,
        name="member-change",
    ),
    path(
        "members/<uuid:membership_id>/remove/",
        members.remove,
        name="member-remove",
    ),
    path("platform/", platform.platform, name="platform"),
]
