"""Open, close and change incidents so that they fit the evidence.

It compares the incidents that there are with those that there should be, in one
transaction: a kill leaves nothing half done, and the next run starts from the tables.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from console.choices import IncidentEventKind, IncidentStatus
from console.judgment.correlation import LEAST, Group
from console.models import Incident, IncidentMember
from console.selectors.incident_evidence import Troubles, read_troubles_across_tenants
from console.services.incidents.clock import follow_maintenance, set_due_times
from console.services.incidents.linking import link_items, unlink_items
from console.services.incidents.rows import (
    absorb_incidents,
    close_incidents,
    key_of,
    open_incidents,
    record,
    reopen_incidents,
    write_members,
)
from console.services.incidents.wanted import WIDE, Wanted, find_wanted
from iotplatform.common import bulk_sql
from state.choices import Severity

LOCK = 0x696E6364  # "incd", to differ from other advisory locks
# The cause must be gone for so long; then a device that comes and goes is one incident.
CALM = timedelta(seconds=20)
# Back within this time it is the same incident.
RETURNS_WITHIN = timedelta(hours=1)
_SET_ALARMS = bulk_sql.update_by_key(Incident, "alarm_count")
_SET_SEVERITY = bulk_sql.update_by_key(Incident, "severity")


@transaction.atomic
def sweep_incidents_across_tenants(*, now: datetime) -> int:
    """Bring the incidents up to date; return how many opened, came back or closed.

    One process at a time does this; another one leaves at once.
    """
    ((is_mine,),) = bulk_sql.fetch("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    return _Sweep(now).run() if is_mine else 0


@dataclass
class _Sweep:
    now: datetime
    changed: int = 0
    known: dict[Group, Incident] = field(default_factory=dict)
    live: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def run(self) -> int:
        self._wake()
        self._load()
        troubles = read_troubles_across_tenants(now=self.now)
        held = {key: row.first_evidence_at for key, row in self.known.items()}
        without = {key for key, row in self.known.items() if not row.device_count}
        wanted = find_wanted(troubles, held, without, now=self.now)
        self._redirect(wanted)
        self._open(wanted)
        here = {key: wanted[key] for key in wanted.keys() & self.known.keys()}
        moved = self._write_members(here, troubles)
        self._update(here)
        self._close(here, moved)
        self._follow_maintenance(here, troubles)
        link_items({self.known[key].pk: each for key, each in here.items()})
        unlink_items()
        return self.changed

    def _wake(self) -> None:
        """Bring back what was snoozed until now."""
        rows = Incident.objects.filter(
            status=IncidentStatus.SNOOZED, snoozed_until__lte=self.now
        )
        woken = list(rows.order_by("pk").select_for_update(no_key=True))
        ids = [row.pk for row in woken]
        Incident.objects.filter(pk__in=ids).update(
            status=IncidentStatus.ACKNOWLEDGED, snoozed_until=None
        )
        record(woken, IncidentEventKind.WOKE, now=self.now)
        self._free()

    def _free(self) -> None:
        """End the claims of people who have done nothing for long."""
        rows = Incident.objects.filter(resolved_at=None, claim_until__lte=self.now)
        freed = list(rows.order_by("pk").select_for_update(no_key=True))
        ids = [row.pk for row in freed]
        Incident.objects.filter(pk__in=ids).update(assignee=None, claim_until=None)
        text = "nothing was done for 30 minutes"
        texts = [text] * len(freed)
        record(freed, IncidentEventKind.RELEASED, now=self.now, texts=texts)

    def _load(self) -> None:
        rows = Incident.objects.exclude(status=IncidentStatus.RESOLVED).order_by("pk")
        self.known = {key_of(row): row for row in rows}
        members = IncidentMember.objects.filter(until=None, incident__resolved_at=None)
        for incident_id, device_id in members.values_list("incident", "device"):
            self.live[incident_id].add(device_id)

    def _redirect(self, wanted: dict[Group, Wanted]) -> None:
        """Give the evidence of incidents that a person merged to the merged one."""
        merged = Incident.objects.filter(
            ~Q(resolution=""),
            status=IncidentStatus.RESOLVED,
            absorbed_by__in=[row.pk for row in self.known.values()],
        ).select_related("absorbed_by")
        for row in merged.order_by("pk"):
            key = key_of(row)
            if key in self.known or key not in wanted or row.absorbed_by is None:
                continue
            each, into = wanted.pop(key), key_of(row.absorbed_by)
            if into in wanted:
                wanted[into].devices = each.devices | wanted[into].devices
                wanted[into].alarms += each.alarms
            else:
                wanted[into] = each

    def _open(self, wanted: dict[Group, Wanted]) -> None:
        """Open what is missing, or reopen what ended within the hour."""
        asked = {
            key: each
            for key, each in wanted.items()
            if key not in self.known and each.is_settled(self.now)
        }
        ended = _newest_resolved(asked)
        back, new = [], []
        for key, each in asked.items():
            row = ended.get(key)
            by_person = row is not None and row.resolution != ""
            if row is None or row.resolved_at is None:
                new.append((key, each))
            elif by_person and each.latest_at <= row.resolved_at:
                continue  # a person has said that this trouble needs nobody
            elif row.resolved_at > self.now - RETURNS_WITHIN:
                back.append(row)
            else:
                new.append((key, each))
        reopen_incidents(back, now=self.now)
        made = open_incidents(new, now=self.now)
        self.known |= {key_of(row): row for row in [*back, *made]}
        self.changed += len(back) + len(made)

    def _write_members(
        self, here: dict[Group, Wanted], troubles: Troubles
    ) -> dict[int, Incident]:
        """Add and end members; return which wider incident took an incident's."""
        added, ended = [], []
        where: dict[int, Incident] = {}
        unsure = troubles.in_work | troubles.blind
        for key, row in self.known.items():
            devices = here[key].devices if key in here else {}
            before = self.live[row.pk]
            added += [
                (row, device_id, since)
                for device_id, since in sorted(devices.items())
                if device_id not in before
            ]
            gone = before - devices.keys() - unsure
            ended += [(row.pk, device_id) for device_id in sorted(gone)]
            self.live[row.pk] = (before | devices.keys()) - gone
            if row.cause in WIDE:
                where |= dict.fromkeys(devices, row)
        write_members(added, ended, now=self.now)
        self._say_what_grew({row.pk for row, _, _ in added})
        left = {(incident_id, device_id) for incident_id, device_id in ended}
        return {
            incident_id: where[device_id]
            for incident_id, device_id in sorted(left, reverse=True)
            if device_id in where
        }

    def _say_what_grew(self, added: set[int]) -> None:
        """Tell people that an incident has at least twice as many devices now."""
        grown = [
            row
            for row in self.known.values()
            if row.pk in added
            and 0 < 2 * row.device_count <= len(self.live[row.pk])
            and len(self.live[row.pk]) >= LEAST
        ]
        texts = [f"{len(self.live[row.pk]):,} devices" for row in grown]
        record(grown, IncidentEventKind.GREW, now=self.now, texts=texts)

    def _update(self, here: dict[Group, Wanted]) -> None:
        """Raise the severity and the number of alarms where they have grown."""
        worse, more = [], []
        for key, each in here.items():
            row = self.known[key]
            if each.severity == Severity.CRITICAL and row.severity != each.severity:
                row.severity = each.severity
                worse.append(row)
            if each.alarms > row.alarm_count:
                row.alarm_count = each.alarms
                more.append(row)
        if more:
            counts = [(row.pk, row.alarm_count) for row in more]
            bulk_sql.run(_SET_ALARMS, bulk_sql.columns_of(counts, 2))
        if worse:
            severities = [(row.pk, str(row.severity)) for row in worse]
            bulk_sql.run(_SET_SEVERITY, bulk_sql.columns_of(severities, 2))
            set_due_times(worse)

    def _close(self, here: dict[Group, Wanted], moved: dict[int, Incident]) -> None:
        """Close what has no evidence any more, or whose devices are in a wider one."""
        absorbed, calm, closed, again = [], [], [], []
        for key, row in self.known.items():
            if key in here or self.live[row.pk] or row.is_held_open:
                if row.calm_since is not None:
                    again.append(row.pk)
            elif row.pk in moved:
                absorbed.append((row, moved[row.pk]))
            elif row.calm_since is None:
                calm.append(row.pk)
            elif row.calm_since <= self.now - CALM:
                closed.append(row)
        Incident.objects.filter(pk__in=again).update(calm_since=None)
        Incident.objects.filter(pk__in=calm).update(calm_since=self.now)
        # Not what a person has resolved meanwhile.
        still = _lock_open({row.pk for row in [*closed, *(row for row, _ in absorbed)]})
        absorbed = [pair for pair in absorbed if pair[0].pk in still]
        closed = [row for row in closed if row.pk in still]
        absorb_incidents(absorbed, now=self.now)
        close_incidents(closed, now=self.now, text="the cause is gone")
        self.changed += len(absorbed) + len(closed)

    def _follow_maintenance(
        self, here: dict[Group, Wanted], troubles: Troubles
    ) -> None:
        rows = [row for row in self.known.values() if row.is_open]
        in_work = {
            row.pk
            for row in rows
            if key_of(row) not in here
            and self.live[row.pk]
            and self.live[row.pk] <= troubles.in_work
        }
        follow_maintenance(rows, in_work, now=self.now)


def _lock_open(ids: set[int]) -> set[int]:
    rows = Incident.objects.filter(pk__in=ids, resolved_at=None).order_by("pk")
    return set(rows.select_for_update(no_key=True).values_list("pk", flat=True))


def _newest_resolved(asked: dict[Group, Wanted]) -> dict[Group, Incident]:
    """Return the newest resolved incident of each of these keys."""
    rows = Incident.objects.filter(
        status=IncidentStatus.RESOLVED,
        tenant__in={key.tenant_id for key in asked},
        object_id__in={key.key for key in asked},
    )
    return {key_of(row): row for row in rows.order_by("pk")}
