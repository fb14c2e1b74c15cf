"""The WSGI application, served by gunicorn."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
application = get_wsgi_application()

from iotplatform.adapters.http.liveness import DoorBeat  # noqa: E402  (apps must be ready)


def settle() -> None:
    """Load every view, and leave what is loaded out of all garbage collections.

    It stays for the life of the process. A full collection looks at each of its 160,000
    objects, for about 0.1 s, in the middle of whichever page happens to set it off.
    """
    _ = get_resolver().url_patterns
    gc.collect()
    gc.freeze()


settle()
DoorBeat().start()
