"""The answer to a poll: due commands, claimed and marked as sent, and configuration."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any, NotRequired, TypedDict

from django.utils import timezone
from msgspec import Meta

from commands.services import dispatch
from iotplatform.adapters.http.parse_body import ADAPTER
from state.selectors import desired_of

# A device executes them one by one; the rest waits for its next poll.
MOST_COMMANDS = 50
LEASE_SECONDS = 30.0  # commands are marked as sent right after the claim

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Command(TypedDict):
    """The message of ``down/command``, and the device or child that it is for."""

    id: str
    name: str
    params: dict[str, Any]
    attempt: int
    expires_at: Instant
    device: str


class Configuration(TypedDict):
    """The message of ``down/desired``; with ``device`` when it is for a child."""

    version: int
    desired: dict[str, Any]
    command_id: str | None
    device: NotRequired[str]


class Polled(TypedDict):
    """The answer to a poll."""

    commands: list[Command]
    desired: Configuration | None
    children_desired: list[Configuration]


def claim_commands(device_ids: Collection[int]) -> list[dict[str, Any]]:
    """Claim the due commands of these devices, and mark them as sent."""
    due = dispatch.claim_due(
        adapter=ADAPTER,
        limit=MOST_COMMANDS,
        lease_seconds=LEASE_SECONDS,
        now=timezone.now(),
        device_ids=device_ids,
    )
    if not due:
        return []
    claims = [(downlink.command_id, downlink.token) for downlink in due]
    mine = dispatch.find_publishable(claims, now=timezone.now())
    if others := [claim for claim in claims if claim[0] not in mine]:
        dispatch.release_claims(others, now=timezone.now())
    sent = dispatch.mark_sent([c for c in claims if c[0] in mine], timezone.now())
    return [
        {"topic": downlink.topic, "body": json.loads(downlink.payload)}
        for downlink in due
        if downlink.command_id in sent
    ]


def desired_unless(device_id: int, known_version: int | None) -> Configuration | None:
    """Return the desired configuration, unless the device knows this version."""
    if known_version is None:
        return None
    document, version = desired_of([device_id]).get(device_id, ({}, 0))
    if version in (0, known_version):
        return None
    return {"version": version, "desired": document, "command_id": None}


def build_answer(claimed: list[dict[str, Any]], uid: str) -> Polled:
    """Build a poll's answer; commands of children name the child."""
    shown: Polled = {"commands": [], "desired": None, "children_desired": []}
    for item in claimed:
        tree, _, kind = item["topic"].rpartition("/down/")
        of = tree.rpartition("/")[2]
        if kind == "command":
            shown["commands"].append(item["body"] | {"device": of})
        elif of == uid:
            shown["desired"] = item["body"]  # the newest: claimed in order
        else:
            shown["children_desired"].append(item["body"] | {"device": of})
    return shown
