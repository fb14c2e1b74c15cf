"""Which devices to simulate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from iotplatform.common.ids import UID

DEFAULT_METRICS = ("temperature", "battery")


class BadTargets(ValueError):
    """A list of devices that cannot be read."""


@dataclass(frozen=True)
class Target:
    """One device to simulate."""

    uid: str
    metrics: tuple[str, ...] = DEFAULT_METRICS
    heartbeat_seconds: int = 30
    gateway_uid: str | None = None
    # Set here, or chosen by the profile mix and the seed.
    profile: str | None = None
    firmware: str | None = None
    # What it has been configured to before it starts for the first time.
    config: dict[str, Any] = field(default_factory=dict)
    desired_version: int = 0
    # None: from the simulation's key.
    secret: str | None = None
    # How far its metrics are from what is typical.
    offsets: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """The devices of one connection: the head, and the children that it relays for."""

    head: Target
    children: tuple[Target, ...] = field(default=())


def numbered(count: int, *, prefix: str = "sim-") -> list[Target]:
    """Return ``count`` devices with numbered uids."""
    return [Target(f"{prefix}{number:05d}") for number in range(1, count + 1)]


def read_uids(path: Path) -> list[Target]:
    """Read one uid per line; skip empty lines and lines that start with #."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTargets(f"{path}: {error}") from error
    targets = []
    for number, line in enumerate(lines, start=1):
        uid = line.strip()
        if not uid or uid.startswith("#"):
            continue
        if not UID.fullmatch(uid):
            raise BadTargets(f"{path}, line {number}: {uid!r} is not a device's uid")
        targets.append(Target(uid))
    return targets


def grouped(targets: Iterable[Target]) -> list[Group]:
    """Group children with their gateways; drop a child whose gateway is missing."""
    heads: dict[str, Target] = {}
    children: dict[str, list[Target]] = {}
    for target in targets:
        if target.gateway_uid is None:
            heads[target.uid] = target
        else:
            children.setdefault(target.gateway_uid, []).append(target)
    return [Group(head, tuple(children.get(uid, ()))) for uid, head in heads.items()]
