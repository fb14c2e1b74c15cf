"""The project package as an app, for its management commands and checks."""

from django.apps import AppConfig


class PlatformConfig(AppConfig):
    name = "iotplatform"

    def ready(self) -> None:
        from iotplatform import checks  # noqa: F401  (it registers the checks)
