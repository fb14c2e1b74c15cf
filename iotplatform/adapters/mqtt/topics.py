"""What the bridge listens to: the uplink topics of the protocol, one by one."""

from __future__ import annotations

from iotplatform.common.topics import UPLINK

FILTERS = tuple(
    f"iot/v1/{source}/{kind}" for source in ("+", "+/child/+") for kind in UPLINK
)


def subscriptions(share: str) -> list[str]:
    """Return the topic filters, under a shared subscription where there is a name."""
    prefix = f"$share/{share}/" if share else ""
    return [prefix + topic for topic in FILTERS]
