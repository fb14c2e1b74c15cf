"""The ledger is worth something: it fails where a protection is switched off.

Each phase has the same disturbance: devices that repeat and lose answers, requests made
twice, cancellations, bridges that are too slow for their lease, or stopped.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from iotplatform.simulator.command_handler import CommandHandler
from iotplatform.simulator.targets import Target
from tests.conftest import need_mosquitto
from tests.platform_process import Platform
from tests.stack.clients import Api
from tests.stack.companions import Companions, companions
from tests.stack.ledger import (
    CLAIMS,
    Entry,
    Fleet,
    Ledger,
    find_faults,
    find_late_deliveries,
    simulated,
)
from tests.stack.switches.sitecustomize import LEASE_SECONDS
from tests.stack.test_contract_loop import new_device, presence
from tests.stack.test_ledger import all_ended
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.long]

SWITCHES = Path(__file__).parent / "switches"
SEED = 20_261_202
DEVICES, COMMANDS, WITHIN = 12, 120, 30.0
STOPPED_SECONDS = 11.0


@pytest.fixture
def switchable(tmp_path: Path) -> Iterator[tuple[Platform, Path]]:
    """A platform whose protections a file switches off, and that file."""
    need_mosquitto()
    file = tmp_path / "switched-off"
    file.write_text("")
    environment = {"PYTHONPATH": str(SWITCHES), "IOT_TEST_SWITCHES": str(file)}
    platform = Platform(environment=environment)
    try:
        platform.start("--demo", "--devices", "10")
        platform.wait_for("/readyz")
        yield platform, file
    finally:
        platform.discard()


class Scene:
    """A platform with its fleet; each phase is a ledger of its own."""

    def __init__(self, platform: Platform, api: Api, fleet: Fleet) -> None:
        self.platform, self.api, self.fleet = platform, api, fleet
        self._phases = 0

    def phase(self, uids: list[str], beside: Companions) -> list[str]:
        """Ask, disturb, and return the faults."""
        self._phases += 1
        ledger, done = Ledger(self.api, seed=SEED + self._phases), threading.Event()
        before = set(self.fleet.executions())
        known = {row[0] for row in self._rows(uids)}
        first = len(self.fleet.deliveries)
        stopper = threading.Thread(target=self._stop_bridges, args=(beside, done))
        stopper.start()
        ledger.ask(uids, count=COMMANDS, within=WITHIN)
        done.set()
        stopper.join()
        rows = wait_until(lambda: self._rows(uids), seconds=300, what="all ended")
        times = self.fleet.executions()
        fresh = Counter({pk: n for pk, n in times.items() if pk not in before})
        faults = find_faults(
            ledger.entries, [row for row in rows if row[0] not in known], fresh
        )
        return faults + self._late(uids, ledger.entries, first)

    def _rows(self, uids: list[str]) -> list[tuple[Any, ...]]:
        return all_ended(self.platform, uids)

    def _late(self, uids: list[str], entries: list[Entry], first: int) -> list[str]:
        rows = self.platform.sql(CLAIMS, [uids], role="iot_platform")
        claims = [(row[0], row[1], row[2]) for row in rows]
        return find_late_deliveries(
            entries,
            self.fleet.deliveries[first:],
            claims,
            lease=timedelta(seconds=LEASE_SECONDS),
        )

    def _stop_bridges(self, beside: Companions, done: threading.Event) -> None:
        """Stop one bridge after the other, past its leases."""
        while not done.wait(2):
            pid = self.platform.pid_of("bridge")
            os.kill(pid, signal.SIGSTOP)
            done.wait(STOPPED_SECONDS)
            os.kill(pid, signal.SIGCONT)
            beside.signal("bridge-2", signal.SIGSTOP)
            done.wait(STOPPED_SECONDS)
            beside.signal("bridge-2", signal.SIGCONT)


async def never(self: CommandHandler, command_id: str) -> bool:
    return False


def test_the_ledger_fails_where_a_protection_is_switched_off(
    switchable: tuple[Platform, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    counted: Counter[str],
) -> None:
    platform, file = switchable
    api = Api.sign_in(platform.url, "manager@acme", "demo")
    targets = []
    for _ in range(DEVICES):
        device = new_device(api, platform)
        targets.append(Target(device.uid, secret=device.secret))
    uids = [target.uid for target in targets]
    folder = tmp_path / "devices"
    port = platform.mqtt_port
    with (
        companions(platform, "bridge-2") as beside,
        simulated(targets, port=port, folder=folder, seed=SEED) as fleet,
    ):
        wait_until(
            lambda: all(presence(api, uid)["last_seen_at"] for uid in uids),
            what="all devices were heard",
        )
        scene = Scene(platform, api, fleet)

        found = {"nothing": scene.phase(uids, beside)}
        for protection in ("dedupe", "recheck", "fencing"):
            file.write_text(protection)
            found[protection] = scene.phase(uids, beside)
            file.write_text("")
        monkeypatch.setattr(CommandHandler, "_is_repeat", never)
        found["memory of the devices"] = scene.phase(uids, beside)

    for protection, faults in found.items():
        kinds = Counter(fault.partition(": ")[2] for fault in faults)
        print(f"without {protection}: {len(faults)} faults, {kinds.most_common(4)}")
        counted[f"faults found without {protection}"] += len(faults)
    assert found["nothing"] == []
    assert any("the repeat became" in fault for fault in found["dedupe"])
    assert any("after it was cancelled" in fault for fault in found["recheck"])
    assert any("after its lease" in fault for fault in found["fencing"])
    assert any("executed 2 times" in f for f in found["memory of the devices"])
