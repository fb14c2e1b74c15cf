"""The log of a simulated device, which it uploads when it is asked to."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from iotplatform.simulator.device import SimulatedDevice

logger = logging.getLogger(__name__)

LINES = 200
SECONDS = 20.0  # for the whole upload
WORDS = (
    "telemetry sent",
    "link quality is low, sending again",
    "configuration read",
    "watchdog fed",
)


def upload_log(
    device: SimulatedDevice, params: dict[str, Any]
) -> dict[str, Any] | None:
    """Upload the log to the link in ``params``; return a result only if that failed."""
    try:
        request = urllib.request.Request(
            params["upload"]["url"], make_log(device, params), method="PUT"
        )
        request.add_header("Content-Type", "text/plain; charset=utf-8")
        with urllib.request.urlopen(request, timeout=SECONDS):
            return None
    # HTTP errors are OSErrors.
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot upload its log: %s", device.uid, error)
        return {"status": "failed", "code": "upload_failed", "payload": {}}


def make_log(device: SimulatedDevice, params: dict[str, Any]) -> bytes:
    """Return the last lines of the log, up to now."""
    lines = min(int(params.get("lines", LINES)), LINES)
    now, boot = datetime.now(UTC), device.memory.boot
    text = []
    for number in range(lines):
        at = now - timedelta(seconds=15 * (lines - number))
        word = WORDS[(boot + number * number) % len(WORDS)]
        text.append(f"{at:%Y-%m-%dT%H:%M:%SZ} {device.uid} boot={boot} {word}")
    return ("\n".join(text) + "\n").encode()
