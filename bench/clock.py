"""The sweeps that a worker makes each second, without Celery and its broker."""

from __future__ import annotations

import os
import time

import django


def main() -> None:
    """Sweep until interrupted."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")
    django.setup()
    from commands import tasks

    print("sweeping", flush=True)
    while True:
        began = time.monotonic()
        tasks.process_due()
        tasks.report_outcomes()
        time.sleep(max(0.0, 1 - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
