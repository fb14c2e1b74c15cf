"""What a poll hands out: due commands, claimed and marked sent, and configuration."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Annotated, Any, NotRequired, TypedDict

from django.utils import timezone
from msgspec import Meta

from commands.services import dispatch
from iotplatform.adapters.http.parse_body import ADAPTER
from state.selectors import desired_of

# A device works them off one by one; what it does not get now waits for its next poll.
HANDED_OUT_AT_ONCE = 50
LEASE_SECONDS = 30.0  # marked right after the claim
LONGEST_WAIT_SECONDS = 60

Instant = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


class Command(TypedDict):
    """What ``down/command`` carries, and whose it is: the device's or a child's."""

    id: str
    name: str
    params: dict[str, Any]
    attempt: int
    expires_at: Instant
    device: str


class Configuration(TypedDict):
    """What ``down/desired`` carries; that of a child says whose it is."""

    version: int
    desired: dict[str, Any]
    command_id: str | None
    device: NotRequired[str]


class Polled(TypedDict):
    """What a poll is answered with."""

    commands: list[Command]
    desired: Configuration | None
    children_desired: list[Configuration]


def hand_out(device_ids: Collection[int]) -> list[dict[str, Any]]:
    """Claim what is due for these devices, and mark as sent what the answer holds."""
    due = dispatch.claim_due(
        adapter=ADAPTER,
        limit=HANDED_OUT_AT_ONCE,
        lease_seconds=LEASE_SECONDS,
        now=timezone.now(),
        device_ids=device_ids,
    )
    if not due:
        return []
    claims = [(downlink.command_id, downlink.token) for downlink in due]
    mine = dispatch.still_mine(claims, now=timezone.now())
    sent = dispatch.mark_sent([c for c in claims if c[0] in mine], timezone.now())
    return [
        {"topic": downlink.topic, "body": json.loads(downlink.payload)}
        for downlink in due
        if downlink.command_id in sent
    ]


def desired_unless(device_id: int, known_version: int | None) -> Configuration | None:
    """Return the configuration that a device asks for by the version it has."""
    if known_version is None:
        return None
    document, version = desired_of([device_id]).get(device_id, ({}, 0))
    if version in (0, known_version):
        return None
    return {"version": version, "desired": document, "command_id": None}


def answer(handed: list[dict[str, Any]], uid: str) -> Polled:
    """Shape a poll's answer; a child's part says whose it is."""
    shown: Polled = {"commands": [], "desired": None, "children_desired": []}
    for item in handed:
        tree, _, kind = item["topic"].rpartition("/down/")
        of = tree.rpartition("/")[2]
        if kind == "command":
            shown["commands"].append(item["body"] | {"device": of})
        elif of == uid:
            shown["desired"] = item["body"]  # the newest: claimed in order
        else:
            shown["children_desired"].append(item["body"] | {"device": of})
    return shown
