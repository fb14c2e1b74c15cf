"""REST paths of the command plane, under /api/v1/."""

from django.urls import path

from commands.api import (
    commands,
    dead_letters,
    definitions,
    device_config,
    device_lifecycle,
    job_containment,
    jobs,
    timeline,
)

urlpatterns = [
    path("command-definitions/", definitions.DefinitionListView.as_view()),
    path("command-definitions/<str:name>/", definitions.DefinitionView.as_view()),
    path("commands/", commands.CommandListView.as_view()),
    path("commands/<str:command_id>/", commands.CommandDetailView.as_view()),
    path("commands/<str:command_id>/approve/", commands.ApproveCommandView.as_view()),
    path("commands/<str:command_id>/cancel/", commands.CancelCommandView.as_view()),
    path("commands/<str:command_id>/retry/", commands.RetryCommandView.as_view()),
    path("commands/<str:command_id>/escalate/", commands.EscalateCommandView.as_view()),
    path(
        "commands/<str:command_id>/files/<str:file_id>/",
        commands.DeviceFileView.as_view(),
    ),
    path("devices/<str:uid>/desired/", device_config.DesiredView.as_view()),
    path("devices/<str:uid>/lifecycle/", device_lifecycle.LifecycleView.as_view()),
    path("devices/<str:uid>/transfer/", device_lifecycle.TransferView.as_view()),
    path("devices/<str:uid>/timeline/", timeline.TimelineView.as_view()),
    path("dead-letters/", dead_letters.DeadLetterListView.as_view()),
    path("dead-letters/replay/", dead_letters.ReplayLettersView.as_view()),
    path("dead-letters/<uuid:letter_id>/", dead_letters.DeadLetterView.as_view()),
    path(
        "dead-letters/<uuid:letter_id>/replay/",
        dead_letters.ReplayLetterView.as_view(),
    ),
    # GET and POST of jobs/ share a URL: fleet routes it, because fleet creates jobs. It
    # starts them as well: a job that was approved is compared with its query first.
    path("jobs/<str:job_id>/", jobs.JobDetailView.as_view()),
    path("jobs/<str:job_id>/targets/", jobs.JobTargetListView.as_view()),
    path("jobs/<str:job_id>/events/", jobs.JobEventListView.as_view()),
    path("jobs/<str:job_id>/approve/", jobs.ApproveJobView.as_view()),
    path("jobs/<str:job_id>/pause/", jobs.PauseJobView.as_view()),
    path("jobs/<str:job_id>/resume/", jobs.ResumeJobView.as_view()),
    path("jobs/<str:job_id>/retry/", jobs.RetryJobView.as_view()),
    path("jobs/<str:job_id>/skip-waiting/", jobs.SkipWaitingView.as_view()),
    path("jobs/<str:job_id>/cancel/", jobs.CancelJobView.as_view()),
    path("jobs/<str:job_id>/lift/", job_containment.LiftHoldView.as_view()),
    path("jobs/<str:job_id>/rollback/", job_containment.RollBackJobView.as_view()),
]
