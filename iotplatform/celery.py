"""The Celery application and its clock: every sweep that beat starts."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

app = Celery("iotplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

SECOND = 1.0
# A sweep that is late is useless twice, so each entry expires before it would pile up.
app.conf.beat_schedule = {}
