"""What an operator does next."""

from django.apps import AppConfig


class ConsoleConfig(AppConfig):
    """Configuration of the console app."""

    name = "console"
