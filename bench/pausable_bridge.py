"""A bridge that may be stopped while messages are published.

PostgreSQL ends the session of a bridge that does nothing, and another bridge takes its
slots. That is right in operation, but the seconds of moving slots would spoil a
measurement of speed.
"""

from __future__ import annotations

import os

import django
from django.core.management import call_command

from iotplatform.adapters.mqtt import slots

LONGEST_PUBLISHING = 600  # seconds


def main() -> None:
    """Run ``manage.py mqtt_bridge`` with a patient server."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    django.setup()
    slots.STILL_SECONDS = LONGEST_PUBLISHING
    call_command("mqtt_bridge")


if __name__ == "__main__":
    main()
