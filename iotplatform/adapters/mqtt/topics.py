"""The topics that the bridge subscribes to: every uplink topic of the protocol."""

from __future__ import annotations

from iotplatform.common.topics import UPLINK

FILTERS = tuple(
    f"iot/v1/{source}/{kind}" for source in ("+", "+/child/+") for kind in UPLINK
)


def subscriptions(share: str) -> list[str]:
    """Return the topic filters; with a name, as a shared subscription."""
    prefix = f"$share/{share}/" if share else ""
    return [prefix + topic for topic in FILTERS]
