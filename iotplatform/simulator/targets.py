"""Which devices are simulated, and what each of them is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
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
    # A fleet may fix what a mix and a seed would choose otherwise.
    profile: str | None = None
    firmware: str | None = None


@dataclass(frozen=True)
class Group:
    """One connection: a device, and the children that it relays for."""

    head: Target
    children: tuple[Target, ...] = field(default=())


def numbered(count: int, *, prefix: str = "sim-") -> list[Target]:
    """Return ``count`` devices with names of our own."""
    return [Target(f"{prefix}{number:05d}") for number in range(1, count + 1)]


def read_uids(path: Path) -> list[Target]:
    """Read one uid a line; empty lines and lines with # are left out."""
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
    """Put children to their gateways; one whose gateway is not there is left out."""
    heads: dict[str, Target] = {}
    children: dict[str, list[Target]] = {}
    for target in targets:
        if target.gateway_uid is None:
            heads[target.uid] = target
        else:
            children.setdefault(target.gateway_uid, []).append(target)
    return [Group(head, tuple(children.get(uid, ()))) for uid, head in heads.items()]
