"""Each scene opens its cause within a minute, and nothing else; its end closes it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.latency_buckets import bucket_of
from commands.models import DeliveryMinute
from commands.services.commands import request_command
from commands.services.dispatch import claim_due, mark_sent
from commands.services.outcome_reports import report_deliveries
from commands.services.uplink import ingest_batch
from console.models import Incident
from console.services.incidents.sweep import sweep_incidents_across_tenants
from iotplatform.common.messages import parse
from iotplatform.simulator.demo.fleet import SEED
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.demo.targets import demo_targets_across_tenants
from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.execution_journal import ExecutionJournal
from iotplatform.simulator.link import Address
from iotplatform.simulator.memory import Memory
from iotplatform.simulator.profiles import PROFILES
from iotplatform.simulator.report import Report
from iotplatform.simulator.scenes.acts import ACTS
from iotplatform.simulator.scenes.choice import Choice, choose
from iotplatform.simulator.scenes.fleet import read_fleet_across_tenants
from iotplatform.simulator.station import Station
from iotplatform.simulator.targets import grouped
from registry.models import Device
from state.services.presence.sweep import (
    sweep_across_tenants,
    wake_children_across_tenants,
)

pytestmark = pytest.mark.django_db
KEY = b"0123456789abcdef0123456789abcdef"
SIZE = 300
BEGIN = datetime.now(UTC).replace(microsecond=0)


class Fleet:
    """Simulated devices whose messages go to the platform's services in batches."""

    def __init__(self, journal: ExecutionJournal) -> None:
        self.now = BEGIN
        self._said: list[tuple[str, bytes]] = []
        self.lost: set[Station] = set()
        self.stations = [
            self._station(group.head, group.children, journal)
            for group in grouped(demo_targets_across_tenants())
        ]
        self.devices = {
            uid: (station, device)
            for station in self.stations
            for uid, device in station.devices.items()
        }

    def _station(self, head: Any, children: Any, journal: ExecutionJournal) -> Station:
        [first, *others] = [self._device(target) for target in (head, *children)]
        return Station(
            first,
            others,
            address=Address("", 0),
            secret="",
            journal=journal,
            report=Report(),
        )

    def _device(self, target: Any) -> SimulatedDevice:
        memory = Memory(firmware=target.firmware)
        profile = PROFILES["healthy"]
        device = SimulatedDevice(target, memory, profile=profile, seed=SEED)
        device.carrier = self._carry
        device.renew_session()
        return device

    def _carry(self, topic: str, payload: bytes, retain: bool) -> int:
        self._said.append((topic, payload))
        return len(self._said)

    def be_born(self) -> None:
        for _, device in self.devices.values():
            self._carry(f"{device.prefix}/status", device.status("online"), True)
            device.report()
        self.pass_on(0)

    def _lose(self, head: SimulatedDevice) -> None:
        """Say what the broker says for a connection that is cut."""
        self._carry(f"{head.prefix}/status", head.status("offline"), True)

    def pass_on(self, seconds: float) -> None:
        """Ingest what was said, then let the platform's clocks run so long."""
        self.now += timedelta(seconds=seconds)
        said, self._said = self._said, []
        given: Any = {"retained": False, "arrived_at": self.now, "adapter": "mqtt"}
        ingest_batch([parse(*one, **given) for one in said], [], now=self.now)
        wake_children_across_tenants(now=self.now)
        sweep_across_tenants(now=self.now)
        sweep_incidents_across_tenants(now=self.now)

    def live(self, seconds: int) -> None:
        """Let so much time pass; who is connected is heard all the time."""
        for _ in range(0, seconds, 10):
            for station in self.stations:
                for device in station.devices.values():
                    if station not in self.lost:
                        device.publish("heartbeat", {})
            self.pass_on(10)

    def play(self, scene: str, choice: Choice) -> None:
        """Begin it as the stage does."""
        players = [self.devices[uid] for uid in choice.uids]
        for _, device in players:
            ACTS[scene].begin(device, choice.version)
        self.pass_on(1)
        if ACTS[scene].leaves:
            self.lost = {station for station, _ in players}
            for station in self.lost:
                self._lose(station.head)

    def end(self, scene: str, choice: Choice) -> None:
        self.lost = set()
        for uid in choice.uids:
            _, device = self.devices[uid]
            if ACTS[scene].leaves:
                device.renew_session()
                self._carry(f"{device.prefix}/status", device.status("online"), True)
            ACTS[scene].end(device, "")


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    load_fleet(SIZE, key=KEY)
    journal = ExecutionJournal(tmp_path / "journal.ndjson")
    made = Fleet(journal)
    made.be_born()
    yield made
    journal.close()


@pytest.mark.parametrize(
    ("scene", "cause", "kind"),
    [
        ("site-outage", "site", "site"),
        ("bad-firmware", "cohort", "firmware"),
        ("alarm-storm", "site", "site"),
        ("battery-wave", "cohort", "batch"),
    ],
)
def test_a_scene_opens_its_cause_within_a_minute_and_nothing_else(
    fleet: Fleet, scene: str, cause: str, kind: str
) -> None:
    choice = choose(scene, read_fleet_across_tenants())

    fleet.play(scene, choice)
    fleet.live(50)

    found = Incident.objects.values_list("cause", "object_kind", "device_count")
    titles = list(Incident.objects.values_list("title", flat=True))
    assert list(found) == [(cause, kind, len(choice.uids))], titles
    fleet.end(scene, choice)
    fleet.live(30)
    closed = Incident.objects.values_list("cause", "resolved_at")
    assert [(of, at is not None) for of, at in closed] == [(cause, True)]


def test_the_scene_of_a_slow_adapter_opens_that_adapter(fleet: Fleet) -> None:
    choice = choose("adapter-slow", read_fleet_across_tenants())
    usual = fleet.now - timedelta(hours=2)
    DeliveryMinute.objects.create(
        adapter="mqtt",
        minute=usual.replace(second=0),
        answered=100,
        latencies={bucket_of(300): 100},
    )
    fleet.play("adapter-slow", choice)

    ask_and_answer(fleet, choice.uids[:20])
    fleet.pass_on(10)  # until the answers are counted
    report_deliveries(now=fleet.now)
    fleet.pass_on(1)

    causes = set(Incident.objects.values_list("cause", "object_id"))
    assert causes == {("adapter", "mqtt")}


def ask_and_answer(fleet: Fleet, uids: tuple[str, ...]) -> None:
    """Send a command to each; they acknowledge it as slowly as they do now."""
    now = fleet.now
    plain: Any = {"policy": None, "idempotency_key": None, "actor": None, "now": now}
    asked = list(
        Device.objects.filter(uid__in=uids).select_related("tenant", "product")
    )
    for device in asked:
        request_command(device=device, name="identify", params={}, **plain)
    due: Any = {"limit": len(asked), "lease_seconds": 30.0, "now": now}
    ids = [device.pk for device in asked]
    sent = claim_due(adapter="mqtt", device_ids=ids, **due)
    assert len(sent) == len(asked)
    mark_sent([(one.command_id, one.token) for one in sent], now)
    waits = []
    for one in sent:
        uid = one.topic.rpartition("/down/")[0].rpartition("/")[2]
        _, played = fleet.devices[uid]
        waits.append(played.draw.uniform(*played.profile.ack_seconds))
        played.publish(f"command/{one.command_id}/ack", {"status": "received"})
    fleet.pass_on(max(waits))
