"""What was sent, did it arrive, what happened."""

from django.apps import AppConfig


class CommandsConfig(AppConfig):
    """Configuration of the commands app."""

    name = "commands"
