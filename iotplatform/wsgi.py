"""The WSGI door, served by gunicorn."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
application = get_wsgi_application()
