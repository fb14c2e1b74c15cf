"""A device and an adapter for tests: their messages go through the real services."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from commands.models import Command
from commands.services.commands import request_command
from commands.services.dispatch import OutgoingCommand, claim_due, mark_sent
from commands.services.sweeps import (
    expire_queued_across_tenants,
    process_due_across_tenants,
)
from commands.services.uplink import ingest_batch
from iotplatform.common.messages import parse
from registry.models import Device
from tests.factories import DeviceFactory


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Unit:
    """A device as the platform sees it: a row, and the messages that it publishes."""

    device: Device

    def say(
        self, kind: str, body: dict[str, Any], *, at: datetime | None = None
    ) -> None:
        topic = f"iot/v1/{self.device.uid}/{kind}"
        self.say_on(topic, body, at=at)

    def say_on(
        self, topic: str, body: dict[str, Any], *, at: datetime | None = None
    ) -> None:
        at = at or now()
        uplink = parse(
            topic,
            json.dumps(body).encode(),
            retained=False,
            arrived_at=at,
            adapter="mqtt",
        )
        ingest_batch([uplink], [], now=at)

    def come_online(self, *, at: datetime | None = None) -> None:
        self.say("status", {"status": "online"}, at=at)

    def acknowledge(
        self, command: Command, status: str = "received", **more: Any
    ) -> None:
        at = more.pop("at", None)
        body = {"status": status, **more}
        self.say(f"command/{command.public_id}/ack", body, at=at)

    def result(self, command: Command, status: str = "succeeded", **more: Any) -> None:
        at = more.pop("at", None)
        body = {"status": status, **more}
        self.say(f"command/{command.public_id}/result", body, at=at)

    def report(self, version: int, document: dict[str, Any], **more: Any) -> None:
        body = {"version": version, "reported": document}
        self.say("reported", body, at=more.get("at"))


def online_unit(**fields: Any) -> Unit:
    """Return an active device that is online."""
    unit = Unit(DeviceFactory.create(**fields))
    unit.come_online()
    return unit


def ask(
    unit: Unit,
    name: str = "reboot",
    params: dict[str, Any] | None = None,
    **policy: Any,
) -> Command:
    """Request a command without an idempotency key."""
    command, _ = request_command(
        device=unit.device,
        name=name,
        params=params or {},
        policy=policy or None,
        idempotency_key=None,
        actor=None,
    )
    return command


def claim(
    *, at: datetime | None = None, lease_seconds: float = 10
) -> list[OutgoingCommand]:
    return claim_due(
        adapter="mqtt", limit=100, lease_seconds=lease_seconds, now=at or now()
    )


def deliver(*, at: datetime | None = None) -> list[OutgoingCommand]:
    """Claim the due commands, and mark them as sent."""
    links = claim(at=at)
    mark_sent([(link.command_id, link.token) for link in links], at or now())
    return links


def sweep(at: datetime) -> None:
    """Run the sweeps for due and expired commands."""
    process_due_across_tenants(now=at)
    expire_queued_across_tenants(now=at)


def fresh(command: Command | UUID) -> Command:
    public_id = command if isinstance(command, UUID) else command.public_id
    return Command.objects.get(public_id=public_id)
