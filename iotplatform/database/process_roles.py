"""Which database role each process takes, unless DATABASE_ROLE names another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# The owner of the tables: it bypasses row security, so only what needs it gets it.
OWNER = "none"
ROLE_OF_COMMAND = {
    "migrate": OWNER,
    "makemigrations": OWNER,
    "showmigrations": OWNER,
    "sqlmigrate": OWNER,
    "flush": OWNER,
    "up": OWNER,  # only checks that the server answers; the roles may not exist yet
    "runserver": "iot_web",
    "mqtt_bridge": "iot_bridge",
    "device_http": "iot_bridge",
    "fleet_indexer": "iot_indexer",
}
ROLE_OF_OTHER_COMMANDS = "iot_platform"


def default_role(arguments: Sequence[str]) -> str:
    """Return the role of a process with these arguments; for an unknown one, the web's.

    That one is bound by row security: without a tenant it sees nothing.
    """
    program = Path(arguments[0]) if arguments else Path()
    if "celery" in (program.name, program.parent.name):
        return "iot_worker"
    if program.name in ("manage.py", "django-admin") and len(arguments) > 1:
        return ROLE_OF_COMMAND.get(arguments[1], ROLE_OF_OTHER_COMMANDS)
    return "iot_web"
