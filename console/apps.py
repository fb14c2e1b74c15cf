"""The console: the pages that people work with."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    name = "console"
