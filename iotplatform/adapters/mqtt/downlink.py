"""Publish due commands: claim, check again, publish, mark as sent on PUBACK."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from commands.services import dispatch
from commands.services.retained_config import (
    forget_retained,
    list_retained_to_clear,
)
from iotplatform.adapters.mqtt.intake import ADAPTER
from iotplatform.adapters.mqtt.link import BridgeLink, Published

logger = logging.getLogger(__name__)

CLAIMED_AT_ONCE = 200  # few enough to publish them in a fraction of the lease
LEASE_SECONDS = 30.0  # a broker that is up answers within seconds
CLEARED_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Claimed:
    """The claim that belongs to a published command."""

    command_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Clearing:
    """An empty message that clears a retained one."""

    topic: str


class Downlink:
    """Publishes over the link of this process that has the most room."""

    def __init__(self) -> None:
        self._clearing: set[str] = set()
        self._unmarked: list[Published] = []

    def send(self, links: Sequence[BridgeLink]) -> bool:
        """Claim and publish due commands; return whether there may be more."""
        link = max(links, key=lambda link: link.free_to_publish, default=None)
        if link is None or link.free_to_publish < CLAIMED_AT_ONCE:
            return False
        now = datetime.now(UTC)
        due = dispatch.claim_due(
            adapter=ADAPTER,
            limit=CLAIMED_AT_ONCE,
            lease_seconds=LEASE_SECONDS,
            now=now,
        )
        if due:
            claims = [(downlink.command_id, downlink.token) for downlink in due]
            mine = dispatch.find_publishable(claims, now=datetime.now(UTC))
            for downlink in due:
                if downlink.command_id in mine:
                    link.publish(
                        downlink.topic,
                        downlink.payload,
                        tag=Claimed(downlink.command_id, downlink.token),
                        retain=downlink.retain,
                        expiry=downlink.message_expiry_seconds,
                    )
            if others := [claim for claim in claims if claim[0] not in mine]:
                dispatch.release_claims(others, now=datetime.now(UTC))
        return len(due) == CLAIMED_AT_ONCE

    def clear(self, links: Sequence[BridgeLink]) -> None:
        """Clear the retained configuration of devices that left the fleet."""
        link = max(links, key=lambda link: link.free_to_publish, default=None)
        if link is None or link.free_to_publish < CLEARED_AT_ONCE:
            return
        for topic in list_retained_to_clear(limit=CLEARED_AT_ONCE):
            if topic not in self._clearing:
                self._clearing.add(topic)
                link.publish(topic, b"", tag=Clearing(topic), retain=True, expiry=None)

    def collect(self, link: BridgeLink) -> None:
        """Collect a link's outcomes; ``mark`` records them."""
        self._unmarked += link.outcomes
        link.outcomes = []

    def mark(self, links: Sequence[BridgeLink]) -> None:
        """Record the outcomes; after a database error they stay for the next call."""
        for link in links:
            self.collect(link)
        if not self._unmarked:
            return
        now = datetime.now(UTC)
        sent: list[dispatch.Claim] = []
        failed: dict[str, list[dispatch.Claim]] = {}
        cleared: list[str] = []
        for outcome in self._unmarked:
            if isinstance(outcome.tag, Clearing):
                self._clearing.discard(outcome.tag.topic)
                if not outcome.error:
                    cleared.append(outcome.tag.topic)
                continue
            claim = (outcome.tag.command_id, outcome.tag.token)
            if outcome.error:
                failed.setdefault(outcome.error, []).append(claim)
            else:
                sent.append(claim)
        if sent:
            dispatch.mark_sent(sent, now)
        for error, claims in failed.items():
            logger.warning("%d commands were not sent: %s", len(claims), error)
            dispatch.mark_not_sent(claims, error, now)
        if cleared:
            forget_retained(cleared)
        self._unmarked = []
