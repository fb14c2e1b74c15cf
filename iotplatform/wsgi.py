"""The WSGI door, served by gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
application = get_wsgi_application()

from iotplatform.http_door import DoorBeat  # noqa: E402  (apps must be ready)
from iotplatform.settled import settle  # noqa: E402

settle()
DoorBeat().start()
