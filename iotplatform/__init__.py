"""The project package: settings, adapters, the local stack and the simulator."""

from iotplatform.celery import app as celery_app

__all__ = ["celery_app"]
