"""The fleet app: search, cohorts, and new jobs."""

from django.apps import AppConfig


class FleetConfig(AppConfig):
    name = "fleet"
