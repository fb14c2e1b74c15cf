"""What the messages of commands carry besides their parameters: links, for a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from commands.definitions import COLLECT_LOGS, UPDATE_FIRMWARE
from commands.selectors.claimed import ClaimedCommand
from iotplatform.common.instants import instant_text
from iotplatform.common.signed_links import FIRMWARE, UPLOAD, make_link
from registry.selectors.firmware import find_releases_for_devices_across_tenants


def links_of(commands: Sequence[ClaimedCommand]) -> dict[int, dict[str, Any]]:
    """Return by key what is added to the parameters; a few queries for all."""
    links = {c.pk: _upload(c) for c in commands if c.name == COLLECT_LOGS}
    updates = [c for c in commands if c.name == UPDATE_FIRMWARE]
    releases = find_releases_for_devices_across_tenants(
        {(c.device_id, str(c.params.get("version", ""))) for c in updates}
    )
    for command in updates:
        release = releases.get((command.device_id, str(command.params.get("version"))))
        if release is not None:
            url = make_link(FIRMWARE, release.public_id, expires_at=command.expires_at)
            link = {"url": url, "sha256": release.sha256, "size": release.size}
            signed = {"signature": release.signature} if release.signature else {}
            links[command.pk] = link | signed
    return links


def _upload(command: ClaimedCommand) -> dict[str, Any]:
    return {
        "upload": {
            "url": make_link(UPLOAD, command.public_id, expires_at=command.expires_at),
            "method": "PUT",
            "max_bytes": settings.DEVICE_FILE_MAX_BYTES,
            "expires_at": instant_text(command.expires_at),
        }
    }
