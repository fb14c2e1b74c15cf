"""Long and many values, so that the pages are as wide as they ever get."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

from django.utils import timezone

from commands.models import Command, DeviceFile
from commands.services.device_files import Part, store_part
from console.models import AttentionItem
from fleet.choices import CallKind
from fleet.models import Cohort, CohortCall, CohortSize, Snapshot
from fleet.services.cohorts import take_snapshot
from registry.choices import Role
from registry.models import Site
from tests.console.conftest import Fleet
from tests.factories import BatchFactory, HardwareRevisionFactory, SpaceFactory
from tests.fleet.rows import make_alarm, make_presence, make_risk, make_twin
from tests.state.scene import announce

QUERY = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'
# A search whose matches have a likely cause and shared traits.
TROUBLED = f"?q={quote(QUERY)}"
DEVICES = 8
HOUR = timedelta(hours=1)
MESSAGE = "The temperature is above the limit since the door was opened. " * 3


NAME = "Cold stores of East China that keep disconnecting since the new firmware"


def add_log(command: Command) -> DeviceFile:
    """Add the log that a device has uploaded, with lines that are too long."""
    lines = (f"12:00:{second:02} {MESSAGE}" for second in range(40))
    log = "\n".join(lines).encode()
    part = Part(start=0, content=log, total=len(log))
    return store_part(command.public_id, part, now=timezone.now())


def add_full_cohort(fleet: Fleet) -> Cohort:
    """Add a cohort with all that its pages can show."""
    now = timezone.now()
    tenant = fleet.tenant
    owner = fleet.person(Role.OPERATOR)
    row: Cohort = Cohort.objects.create(
        **{"tenant": tenant, "name": NAME, "query": QUERY, "owner": owner},
        **{"description": MESSAGE, "calls_at": 12_000, "calls_each": True},
    )
    CohortSize.objects.bulk_create(
        CohortSize(
            tenant=tenant, cohort=row, size=11_900 + 7 * hour, at=now - hour * HOUR
        )
        for hour in (*range(40), *range(60, 160))
    )
    for number in range(2):
        taken = take_snapshot(cohort=row, actor=owner)
        Snapshot.objects.filter(pk=taken.pk).update(taken_at=now - (1 - number) * HOUR)
    devices = fleet.devices[-DEVICES:]
    CohortCall.objects.bulk_create(
        CohortCall(
            **{"tenant": tenant, "cohort": row, "device": device, "uid": device.uid},
            kind=CallKind.LEFT if number % 3 == 0 else CallKind.ENTERED,
            opened_at=now - number * HOUR,
            assignee=owner if number % 2 else None,
            closed_at=None if number % 4 else now,
        )
        for number, device in enumerate(devices)
    )
    CohortCall.objects.create(
        **{"tenant": tenant, "cohort": row, "kind": CallKind.REACHED},
        **{"number": 12_000, "size": 12_173, "opened_at": now - HOUR, "back_at": now},
    )
    _add_attention(fleet)
    return row


def _add_attention(fleet: Fleet) -> None:
    """Add items of the attention inbox, open and closed, with long reasons."""
    now = timezone.now()
    AttentionItem.objects.bulk_create(
        AttentionItem(
            **{"tenant": fleet.tenant, "device": device, "uid": device.uid},
            **{"object_kind": "command", "object_id": fleet.command(device).public_id},
            kind="approval" if number == 1 else "command",
            episode=f"{number}",
            object_name="set_config",
            reason=f"timed out: no acknowledgement, the device is offline. {MESSAGE}",
            score=50 + number,
            score_reasons=["a command needs a person", "it is a real-time command"],
            opened_at=now - number * HOUR,
            due_at=now + HOUR if number == 1 else None,
            closed_at=now if number % 4 == 3 else None,
        )
        for number, device in enumerate(fleet.devices[-DEVICES:])
    )


def add_full_data(fleet: Fleet, site: Site) -> None:
    """Add devices of one batch with the same trouble, long names and many marks."""
    product = fleet.devices[0].product
    revision = HardwareRevisionFactory.create(
        tenant=fleet.tenant, product=product, slug="rev-b-with-the-long-antenna"
    )
    batch = BatchFactory.create(
        tenant=fleet.tenant, hardware_revision=revision, slug="2025-11-shenzhen-line-4"
    )
    space = SpaceFactory.create(
        tenant=fleet.tenant, site=site, slug="upper-floor-cold-room-2"
    )
    made = [
        fleet.add(
            f"cold-store-{number:06}-by-the-north-door",
            name=f"Cold store {number} by the north door, upper shelf",
            site=site,
            product=product,
            hardware_revision=revision,
            batch=batch,
            space=space,
        )
        for number in range(DEVICES)
    ]
    for device in made:
        make_presence(
            device,
            connectivity="offline",
            cause="missed_heartbeats",
            disconnects_72h=1_207,
        )
        make_twin(device, firmware="1.4.12-rc.3+build.2207", reported={"interval": 10})
        make_risk(device, 87, flapping=40, unacked=30)
        make_alarm(device, code="temperature-above-the-limit", message=MESSAGE)
        fleet.command(device, "set_config", interval=30)
    now = timezone.now()
    reason = "Exchange of all filters of the upper floor"
    announce(*made, begin=now, end=now + timedelta(hours=4), reason=reason)
