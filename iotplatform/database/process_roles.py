"""Which database role each process takes, unless DATABASE_ROLE names another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

# The owner of the tables, who makes them: past the wall, and of no use to anyone else.
OWNER = "none"
ROLE_OF_COMMAND = {
    "migrate": OWNER,
    "makemigrations": OWNER,
    "showmigrations": OWNER,
    "sqlmigrate": OWNER,
    "flush": OWNER,
    "up": OWNER,  # asks only whether the server answers; the roles may not be there yet
    "runserver": "iot_web",
    "mqtt_bridge": "iot_bridge",
    "fleet_indexer": "iot_indexer",
}
ROLE_OF_OTHER_COMMANDS = "iot_platform"


def default_role(arguments: Sequence[str]) -> str:
    """Return the role of a process that was started so: else that of the web.

    What we do not know is walled, and without a tenant it sees nothing.
    """
    program = Path(arguments[0]) if arguments else Path()
    if "celery" in (program.name, program.parent.name):
        return "iot_worker"
    if program.name in ("manage.py", "django-admin") and len(arguments) > 1:
        return ROLE_OF_COMMAND.get(arguments[1], ROLE_OF_OTHER_COMMANDS)
    return "iot_web"
