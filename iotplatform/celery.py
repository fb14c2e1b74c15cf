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
app.conf.beat_schedule = {
    "registry.run_imports": {
        "task": "registry.run_imports",
        "schedule": 10 * SECOND,
        "options": {"expires": 10 * SECOND},
    },
    "state.sweep": {
        "task": "state.sweep",
        "schedule": SECOND,
        "options": {"expires": SECOND},
    },
    "state.rescore": {
        "task": "state.rescore",
        "schedule": SECOND,
        "options": {"expires": SECOND},
    },
    "state.tidy": {
        "task": "state.tidy",
        "schedule": 60 * SECOND,
        "options": {"expires": 60 * SECOND},
    },
    "state.keep_history": {
        "task": "state.keep_history",
        "schedule": 3_600 * SECOND,
        "options": {"expires": 3_600 * SECOND},
    },
    "commands.look_at_due": {
        "task": "commands.look_at_due",
        "schedule": SECOND,
        "options": {"expires": SECOND},
    },
    "commands.advance_jobs": {
        "task": "commands.advance_jobs",
        "schedule": SECOND,
        "options": {"expires": SECOND},
    },
    "commands.tell_outcomes": {
        "task": "commands.tell_outcomes",
        "schedule": 2 * SECOND,
        "options": {"expires": 2 * SECOND},
    },
    "commands.tell_deliveries": {
        "task": "commands.tell_deliveries",
        "schedule": 30 * SECOND,
        "options": {"expires": 30 * SECOND},
    },
    "commands.tidy": {
        "task": "commands.tidy",
        "schedule": 10 * SECOND,
        "options": {"expires": 10 * SECOND},
    },
    "commands.keep_history": {
        "task": "commands.keep_history",
        "schedule": 3_600 * SECOND,
        "options": {"expires": 3_600 * SECOND},
    },
}
