"""The answers to polls: due commands, claimed and marked as sent, and configuration."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict

from django.utils import timezone
from msgspec import Meta

from commands.services import dispatch
from iotplatform.adapters.http.parse_body import ADAPTER
from registry.choices import DeviceKind
from registry.selectors.devices import IngestDevice, list_child_ids_across_tenants
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


@dataclass(frozen=True, slots=True)
class Poller:
    """A device that polls, and what it asks for."""

    uid: str
    device_id: int
    asks_for: frozenset[int]  # itself, and the children of a gateway
    known_version: int | None  # of its configuration, if it says so


def make_pollers(
    devices: Sequence[IngestDevice], known_versions: Sequence[int | None]
) -> list[Poller]:
    """Return the pollers; one query for the children of all gateways."""
    gateways = [d.id for d in devices if d.kind == DeviceKind.GATEWAY]
    children = list_child_ids_across_tenants(gateways)
    return [
        Poller(d.uid, d.id, frozenset([d.id, *children.get(d.id, [])]), known)
        for d, known in zip(devices, known_versions, strict=True)
    ]


def answer_polls(pollers: Sequence[Poller]) -> list[Polled | None]:
    """Claim what is due for all of them at once; None: there is nothing for this one.

    Of two polls of a device, the later one gets the commands: the connection of the
    earlier one may be dead.
    """
    ids = frozenset[int]().union(*(poller.asks_for for poller in pollers))
    claimed: dict[str, list[dict[str, Any]]] = {}
    for item in claim_commands(ids, limit=MOST_COMMANDS * len(pollers)):
        claimed.setdefault(item["topic"].split("/")[2], []).append(item)
    asking = {p.device_id for p in pollers if p.known_version is not None}
    desired = desired_of(asking) if asking else {}
    answers: list[Polled | None] = []
    for poller in reversed(pollers):
        shown = build_answer(claimed.pop(poller.uid, []), poller.uid)
        shown["desired"] = shown["desired"] or _desired_unless_known(poller, desired)
        answers.append(shown if any(shown.values()) else None)
    return answers[::-1]


def claim_commands(
    device_ids: Collection[int], *, limit: int = MOST_COMMANDS
) -> list[dict[str, Any]]:
    """Claim due commands of these devices, and mark them as sent."""
    due = dispatch.claim_due(
        adapter=ADAPTER,
        limit=limit,
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


def _desired_unless_known(
    poller: Poller, desired: Mapping[int, tuple[dict[str, Any], int]]
) -> Configuration | None:
    document, version = desired.get(poller.device_id, ({}, 0))
    if poller.known_version is None or version in (0, poller.known_version):
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
