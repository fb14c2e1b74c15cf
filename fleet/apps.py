"""Which devices match."""

from django.apps import AppConfig


class FleetConfig(AppConfig):
    """Configuration of the fleet app."""

    name = "fleet"
