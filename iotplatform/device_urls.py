"""The URLs of the device process: only those of devices."""

from django.urls import include, path, re_path

from iotplatform import error_pages
from iotplatform.monitoring import views

urlpatterns = [
    path("healthz", views.healthz),
    path("device/v1/", include("iotplatform.adapters.http.urls")),
    re_path(r"", error_pages.unknown_path),
]

handler400 = error_pages.bad_request
handler403 = error_pages.forbidden
handler404 = error_pages.not_found
handler500 = error_pages.server_error
