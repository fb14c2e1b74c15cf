"""What the devices of each scene do: only what devices can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.metrics import BATTERY
from iotplatform.simulator.profiles import PROFILES
from iotplatform.simulator.scenes.choice import (
    ADAPTER_SLOW,
    ALARM_STORM,
    BAD_FIRMWARE,
    BATTERY_WAVE,
    SITE_OUTAGE,
)

SLOW_SECONDS = (20.0, 40.0)
LOW_BATTERY = (4.0, 8.0)
STORM = ("power_low", "door_open", "fan_stopped", "sensor_fault", "overheated")
LOW = "battery_low"
Do = Callable[[SimulatedDevice, str], None]


def _nothing(_device: SimulatedDevice, _version: str) -> None:
    return None


@dataclass(frozen=True)
class Act:
    """What a device does, while it is connected; ``leaves``: then it is lost."""

    begin: Do = _nothing
    end: Do = _nothing
    leaves: bool = False


def _run_bad_firmware(device: SimulatedDevice, version: str) -> None:
    device.firmware = version  # its memory keeps the old one: it starts with that again
    device.report()


def _run_old_firmware(device: SimulatedDevice, _version: str) -> None:
    device.firmware = device.memory.firmware
    device.report()


def _answer_slowly(device: SimulatedDevice, _version: str) -> None:
    device.profile = replace(device.profile, ack_seconds=SLOW_SECONDS)


def _answer_as_before(device: SimulatedDevice, _version: str) -> None:
    device.profile = PROFILES[device.profile.name]


def _raise_storm(device: SimulatedDevice, _version: str) -> None:
    for code in STORM:
        _event(device, code, "raised")


def _clear_storm(device: SimulatedDevice, _version: str) -> None:
    for code in STORM:
        _event(device, code, "cleared")


def _run_low(device: SimulatedDevice, _version: str) -> None:
    device.memory.battery = device.draw.uniform(*LOW_BATTERY)
    device.publish("telemetry", {"metrics": {BATTERY: device.measure(0)[BATTERY]}})
    _event(device, LOW, "raised")


def _get_new_battery(device: SimulatedDevice, _version: str) -> None:
    device.memory.battery = device.profile.battery_range[1]
    device.publish("telemetry", {"metrics": {BATTERY: device.measure(0)[BATTERY]}})
    _event(device, LOW, "cleared")


def _event(device: SimulatedDevice, code: str, state: str) -> None:
    device.publish("event", {"code": code, "severity": "warning", "state": state})


ACTS = {
    SITE_OUTAGE: Act(leaves=True),
    BAD_FIRMWARE: Act(_run_bad_firmware, _run_old_firmware, leaves=True),
    ADAPTER_SLOW: Act(_answer_slowly, _answer_as_before),
    ALARM_STORM: Act(_raise_storm, _clear_storm),
    BATTERY_WAVE: Act(_run_low, _get_new_battery),
}
