"""Paths of devices under /device/v1/, modelled on the topics of the protocol."""

from django.urls import URLPattern, path

from iotplatform.adapters.http.file_views import FirmwareView, UploadView
from iotplatform.adapters.http.views import AnswerView, CommandsView, MessageView

MESSAGES = ("status", "heartbeat", "telemetry", "reported", "event")
ANSWERS = ("ack", "progress", "result")


def _tree(prefix: str) -> list[URLPattern]:
    messages = [
        path(f"{prefix}{kind}/", MessageView.as_view(kind=kind)) for kind in MESSAGES
    ]
    answers = [
        path(
            f"{prefix}commands/<uuid:command_id>/{kind}/",
            AnswerView.as_view(kind=kind),
        )
        for kind in ANSWERS
    ]
    return messages + answers


urlpatterns = [
    path("commands/", CommandsView.as_view()),
    path("upload/<str:token>/", UploadView.as_view()),
    path("firmware/<str:token>/", FirmwareView.as_view()),
    *_tree(""),
    *_tree("child/<str:child>/"),
]
