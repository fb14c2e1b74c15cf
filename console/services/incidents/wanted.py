"""Which incidents there should be now, from all evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from console.choices import IncidentCause as C
from console.choices import IncidentObject as K
from console.judgment.correlation import LEAST, Evidence, Group, correlate
from console.selectors.incident_evidence import (
    Troubles,
    list_stopped_jobs_across_tenants,
    read_command_troubles_across_tenants,
)
from state.choices import Severity
from state.judgment.diagnosis_evidence import ENTER, LEAVE, PathFigures
from state.selectors.incident_evidence import list_adapter_tenants_across_tenants
from state.selectors.peer_evidence import path_figures

# A trouble that is shorter opens nothing: a reconnect, a restart of the platform. What
# many devices have is no chance, so it waits less; both leave room within a minute.
SETTLES, WIDE_SETTLES = timedelta(seconds=40), timedelta(seconds=10)
WIDE = frozenset({C.ADAPTER, C.GATEWAY, C.SITE, C.COHORT})
TEXTS = 5  # of the evidence, in the timeline

Held = Mapping[Group, datetime]


@dataclass
class Wanted:
    """An incident as it should be now."""

    first_at: datetime
    latest_at: datetime
    severity: Severity
    name: str
    texts: list[str]
    settles: timedelta = timedelta(0)
    devices: dict[int, datetime] = field(default_factory=dict)  # → its first evidence
    alarms: int = 0
    items: list[str] = field(default_factory=list)  # public ids of work items

    def is_settled(self, now: datetime) -> bool:
        return self.first_at <= now - self.settles


def find_wanted(
    troubles: Troubles,
    held: Held,
    without_devices: Collection[Group] = (),
    *,
    now: datetime,
) -> dict[Group, Wanted]:
    """Return what there should be; ``held`` are the open incidents.

    Those without devices keep no trouble of a device: they opened for another reason,
    such as commands over an adapter that nobody answers.
    """
    holding = {key: at for key, at in held.items() if key not in without_devices}
    found = _of_devices(troubles, holding)
    found |= _of_commands(held)
    for item in list_stopped_jobs_across_tenants():
        key = Group(item.tenant_id, C.JOB, K.JOB, str(item.object_id))
        found[key] = Wanted(
            first_at=item.opened_at,
            latest_at=item.opened_at,
            severity=Severity.WARNING,
            name=item.object_name,
            texts=[item.title],
            items=[str(item.public_id)],
        )
    for key, text in _failing_paths(held):
        if key not in found:
            since = held.get(key, now)
            found[key] = Wanted(since, since, Severity.CRITICAL, key.key, [text])
    return found


def _of_devices(troubles: Troubles, held: Held) -> dict[Group, Wanted]:
    found = {}
    for key, rows in correlate(troubles.evidence, troubles.sizes, held).items():
        made = _of_evidence(rows, name=troubles.object_names.get(key, key.key))
        # Of all groups only the dead gateway itself is known without a count.
        is_wide = key.cause in WIDE and len(made.devices) >= LEAST
        made.settles = WIDE_SETTLES if is_wide else SETTLES
        if key.cause in (C.PLATFORM, C.ADAPTER, C.GATEWAY, C.SITE):
            made.severity = Severity.CRITICAL
        found[key] = made
    return found


def _of_commands(held: Held) -> dict[Group, Wanted]:
    """Return the commands that need a person on several devices."""
    rows = read_command_troubles_across_tenants()
    sizes = {group: LEAST for row in rows for group in row.groups}
    found = {}
    for key, each in correlate(rows, sizes, held).items():
        if key.key:  # else the command is a work item of its own
            found[key] = _of_evidence(each, name=key.key)
            found[key].alarms = 0
            found[key].items = [row.kind for row in each]
    return found


def _of_evidence(rows: Sequence[Evidence], *, name: str) -> Wanted:
    critical = any(row.is_critical for row in rows)
    devices: dict[int, datetime] = {}
    for row in rows:
        devices.setdefault(row.device_id, row.at)
    return Wanted(
        first_at=rows[0].at,
        latest_at=rows[-1].at,
        severity=Severity.CRITICAL if critical else Severity.WARNING,
        name=name,
        texts=[row.text for row in rows[:TEXTS]],
        devices=devices,
        alarms=sum(row.kind.startswith("alarm:") for row in rows),
    )


def _failing_paths(held: Held) -> Iterable[tuple[Group, str]]:
    """Yield each tenant's incident of an adapter that is slow or fails."""
    figures = path_figures()
    open_paths = {group.key for group in held if group.cause == C.ADAPTER}
    bad = {
        name: path.describe()
        for name, path in figures.items()
        if _is_bad(path, is_open=name in open_paths)
    }
    if bad:
        for tenant_id, adapter in list_adapter_tenants_across_tenants(list(bad)):
            yield Group(tenant_id, C.ADAPTER, K.ADAPTER, adapter), bad[adapter]


def _is_bad(path: PathFigures, *, is_open: bool) -> bool:
    """Judge by the lower limits while an incident is open: it does not come and go."""
    return path.is_bad(LEAVE if is_open else ENTER)
