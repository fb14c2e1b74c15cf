"""Correlate evidence: which troubles have one cause. No database, no clock.

Each piece of evidence names the groups that its device belongs to, the widest first. A
group explains it if, within ten minutes, at least five of the group's devices and half
of them are in trouble. The widest such group is the cause, with two exceptions that
compare the groups themselves:

- A narrower group is the cause if nearly all the trouble of the wider one is in it, and
  a larger share of the narrower one is affected: a dead gateway is no outage of its
  adapter, and a bad firmware is no outage of the site.
- Several dead gateways of one site are an outage of the site.

The result depends only on the evidence, not on the order or the batches in which it
came. What ends is left out by the caller; ``held`` are the groups of open incidents,
which keep evidence until fewer than a quarter of their devices are affected.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from console.choices import IncidentCause, IncidentObject

WINDOW = timedelta(minutes=10)
LEAST = 5  # devices; fewer at a time may be chance
SHARE = 0.5  # of the peers
KEPT_SHARE = 0.25  # an open incident is held until fewer are affected
EXPLAINED = 0.9  # of a wider group's affected devices
# Fewer sites say nothing about an adapter, and fewer devices beside a gateway say
# nothing about its site.
LEAST_SITES, LEAST_BESIDE = 2, 2

ANY_TENANT = 0  # an adapter serves all tenants: its peers are everybody's devices


class Group(NamedTuple):
    """Devices with something in common; also the key of the incident it causes."""

    tenant_id: int
    cause: IncidentCause
    kind: IncidentObject
    key: str


@dataclass(frozen=True, slots=True, order=True)
class Evidence:
    """One trouble of one device: when it arrived, and whom the device belongs to."""

    at: datetime
    device_id: int
    kind: str
    tenant_id: int
    groups: tuple[Group, ...]  # the widest first
    own: Group  # its cause if no group explains it
    # What a person reads of it; of no weight for the cause.
    text: str = field(default="", compare=False)
    is_critical: bool = field(default=False, compare=False)


Correlated = dict[Group, list[Evidence]]


def correlate(
    evidence: Iterable[Evidence],
    sizes: Mapping[Group, int],
    held: Mapping[Group, datetime] | None = None,
) -> Correlated:
    """Return the evidence of each cause, in the order of its arrival.

    ``sizes`` says how many devices each group has; a group without a size explains
    nothing. ``held`` says since when the open incidents of groups have evidence.
    """
    ordered = sorted(set(evidence))
    judge = _Judge(ordered, sizes, held or {})
    found: Correlated = defaultdict(list)
    for each in ordered:
        found[_of_tenant(judge.cause_of(each), each.tenant_id)].append(each)
    return dict(found)


def _of_tenant(group: Group, tenant_id: int) -> Group:
    """Return the group as the key of an incident: each tenant has its own."""
    return group._replace(tenant_id=tenant_id)


class _Judge:
    """All evidence by group, and from when on each group explains it."""

    def __init__(
        self,
        ordered: list[Evidence],
        sizes: Mapping[Group, int],
        held: Mapping[Group, datetime],
    ) -> None:
        self.sizes, self.held = sizes, held
        by_group: dict[Group, list[Evidence]] = defaultdict(list)
        for each in ordered:
            for group in each.groups:
                by_group[group].append(each)
        self.starts: dict[Group, datetime] = {}
        self.affected: dict[Group, set[int]] = {}
        for group, rows in by_group.items():
            self._add(group, rows)
        self.better: dict[tuple[Group, Group], bool] = {}

    def _add(self, group: Group, rows: list[Evidence]) -> None:
        start = _first_window(rows, self.sizes.get(group, 0))
        if start is not None and _is_wide_enough(group, rows):
            self.starts[group] = start
            self.affected[group] = {r.device_id for r in rows if r.at >= start}
        else:
            self.affected[group] = {r.device_id for r in rows}

    def cause_of(self, each: Evidence) -> Group:
        """Return the group that explains the evidence; its own if none does."""
        chosen: Group | None = None
        for group in each.groups:
            start = self.starts.get(group)
            if start is None or each.at < start:
                continue
            if chosen is None or self._is_better(group, chosen):
                chosen = group
        if chosen is not None:
            return chosen
        for group in each.groups:
            if self._holds(group, each):
                return group
        return each.own

    def _holds(self, group: Group, each: Evidence) -> bool:
        since = self.held.get(_of_tenant(group, each.tenant_id))
        size = self.sizes.get(group, 0)
        if since is None or each.at < since or not size:
            return False
        return len(self.affected[group]) >= KEPT_SHARE * size

    def _is_better(self, narrow: Group, wide: Group) -> bool:
        pair = (narrow, wide)
        if pair not in self.better:
            self.better[pair] = self._explains(narrow, wide) or (
                wide.cause == IncidentCause.GATEWAY
                and narrow.cause == IncidentCause.SITE
                and self._is_beside(narrow, wide)
            )
        return self.better[pair]

    def _explains(self, narrow: Group, wide: Group) -> bool:
        """Whether nearly all the trouble is in the narrower group, and more of it."""
        both = len(self.affected[narrow] & self.affected[wide])
        if both < EXPLAINED * len(self.affected[wide]):
            return False
        return self._share(narrow) > self._share(wide)

    def _is_beside(self, site: Group, gateway: Group) -> bool:
        """Whether the rest of the site is affected as well as the gateway."""
        beside = len(self.affected[site] - self.affected[gateway])
        rest = max(1, self.sizes[site] - self.sizes[gateway])
        return beside >= LEAST_BESIDE and beside >= SHARE * rest

    def _share(self, group: Group) -> float:
        return len(self.affected[group]) / self.sizes[group]


def _first_window(rows: list[Evidence], size: int) -> datetime | None:
    """Return the begin of the first ten minutes with enough devices; None: none."""
    least = max(LEAST, SHARE * size)
    if not size or len(rows) < least:
        return None
    window: deque[Evidence] = deque()
    devices: dict[int, int] = defaultdict(int)
    for row in rows:
        window.append(row)
        devices[row.device_id] += 1
        while row.at - window[0].at > WINDOW:
            left = window.popleft().device_id
            devices[left] -= 1
            if not devices[left]:
                del devices[left]
        if len(devices) >= least:
            return window[0].at
    return None


def _is_wide_enough(group: Group, rows: list[Evidence]) -> bool:
    """Whether an adapter's trouble is at several sites; other groups need not be."""
    if group.cause != IncidentCause.ADAPTER:
        return True
    sites = {of for row in rows for of in row.groups if of.cause == IncidentCause.SITE}
    return len(sites) >= LEAST_SITES
