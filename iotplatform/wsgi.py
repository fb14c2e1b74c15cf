"""The WSGI application, served by gunicorn."""

import gc
import os

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
django_application = get_wsgi_application()

# The apps must be ready.
from iotplatform.adapters.http.connection_handover import HandOver  # noqa: E402
from iotplatform.adapters.http.liveness import HttpHeartbeat  # noqa: E402
from iotplatform.common.chunked_bodies import ChunkedBodies  # noqa: E402
from iotplatform.common.query_parameters import load_extensions  # noqa: E402

application = HandOver(ChunkedBodies(django_application), settings.DEVICE_HTTP_SOCKET)


def freeze_loaded_code() -> None:
    """Load every view, and exclude all loaded objects from garbage collection.

    They live as long as the process. Otherwise a full collection visits each of these
    160,000 objects. That takes about 0.1 s, in the middle of some request.
    """
    _ = get_resolver().url_patterns
    load_extensions()
    gc.collect()
    gc.freeze()


freeze_loaded_code()
HttpHeartbeat().start()
