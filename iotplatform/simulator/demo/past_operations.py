"""What else people of acme did and saw: firmware, cohorts, rules, alarms, messages."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any

from django.core.files.base import ContentFile

from fleet.services.cohorts import save_cohort
from iotplatform.simulator.demo.cast import PRODUCT, Cast
from iotplatform.simulator.demo.fleet import demo_device_of
from iotplatform.simulator.demo.replay import Said, hear
from iotplatform.simulator.demo.telemetry_history import last_values
from iotplatform.simulator.profiles import MAIN_FIRMWARE, NEW_FIRMWARE
from registry.choices import DeviceKind
from registry.models import Device, Site
from registry.services.firmware import create_release
from state.choices import OPEN_ALARMS, Comparison, Severity
from state.models import Alarm
from state.services.alarms.ingest import acknowledge_alarm
from state.services.alarms.rules import create_rule
from state.services.maintenance import open_window

FIRMWARE_BYTES = 64 * 1024
NOTES = {
    MAIN_FIRMWARE: "Longer battery life in the cold.",
    NEW_FIRMWARE: "Reconnects faster. Do not install above 35 °C.",
}
COHORTS = {
    "Flapping sensors, East China": 'region:"East China" AND firmware:1.4.*'
    " AND disconnects_72h:>=5",
    "Not on the new firmware": f"product:{PRODUCT} AND NOT firmware:{NEW_FIRMWARE}",
}
MAINTAINED_SITE = "seattle-01"
RULES: tuple[dict[str, Any], ...] = (
    {
        "name": "Too warm inside",
        "code": "overheating",
        "metric": "temperature",
        "comparison": Comparison.ABOVE,
        "threshold": 32.0,
        "hysteresis": 1.0,
        "severity": Severity.CRITICAL,
    },
    {
        "name": "Battery nearly empty",
        "code": "battery_low",
        "metric": "battery",
        "comparison": Comparison.BELOW,
        "threshold": 15.0,
        "hysteresis": 2.0,
        "severity": Severity.WARNING,
    },
)


def upload_firmware(cast: Cast) -> None:
    """The release that most devices have, and the one that they shall get."""
    for version, notes in NOTES.items():
        image = Random(f"firmware:{version}").randbytes(FIRMWARE_BYTES)
        create_release(
            tenant=cast.tenant,
            version=version,
            file=ContentFile(image, name=f"{PRODUCT}-{version}.bin"),
            products=[cast.product],
            notes=notes,
            actor=cast.manager,
        )


def save_cohorts(cast: Cast) -> None:
    for name, query in COHORTS.items():
        save_cohort(tenant=cast.tenant, name=name, query=query, actor=cast.operator)


def replace_a_battery(cast: Cast) -> None:
    """Work at a device, which is over."""
    open_window(
        tenant=cast.tenant,
        devices=[cast.device(cast.a_well_one(3))],
        from_at=cast.ago(hours=40),
        until=cast.ago(hours=38),
        reason="New battery",
        by=cast.manager,
    )


def replace_a_switch(cast: Cast) -> None:
    """Work at a site, which goes on."""
    open_window(
        tenant=cast.tenant,
        sites=[Site.objects.get(tenant=cast.tenant, slug=MAINTAINED_SITE)],
        from_at=cast.ago(hours=1),
        until=cast.now + timedelta(hours=3),
        reason="New network switch",
        by=cast.manager,
    )


def watch_values(cast: Cast) -> None:
    for fields in RULES:
        create_rule(tenant=cast.tenant, product=cast.product, enabled=True, **fields)


def raise_alarms(cast: Cast) -> None:
    """Cleared, acknowledged and open ones: of devices, and of the rules."""
    power, door = cast.a_well_one(1), cast.a_well_one(0)
    _event(cast, power, "power_lost", "critical", "raised", hours=30)
    _acknowledge(cast, [power], hours=29.8)
    _event(cast, power, "power_lost", "critical", "cleared", hours=29)
    _event(cast, door, "door_open", "warning", "raised", hours=28)
    _event(cast, door, "door_open", "warning", "cleared", hours=27.5)
    at = cast.ago(hours=26)
    values = [(uid, demo_device_of(uid)) for uid in cast.troubled]
    hear(
        [
            Said(uid, "telemetry", {"metrics": last_values(device, at)})
            for uid, device in values
            if device is not None
        ],
        at=at,
    )
    _acknowledge(cast, cast.troubled[:1], hours=25)
    _event(cast, cast.a_well_one(2), "door_open", "warning", "raised", hours=24)


def keep_bad_messages(cast: Cast) -> None:
    """Messages that could not be read, or came from the wrong device."""
    first, second = cast.a_well_one(0), cast.a_well_one(1)
    messages = [
        Said(first, "telemetry", b'{"metrics": {"temperature": "warm"}}'),
        Said(first, "reported", b'{"version": 9, "reported": {"interv'),
        Said(second, "telemetry", {"metrics": {"temperature": 21.5, "battery": None}}),
        Said(second, "diagnostics", {"heap": 20_412}),
        Said("s1-999999", "heartbeat", {}),
    ]
    gateways = Device.objects.filter(tenant=cast.tenant, kind=DeviceKind.GATEWAY)
    for gateway in gateways.order_by("pk")[1:2]:
        children = Device.objects.filter(gateway__in=gateways.exclude(pk=gateway.pk))
        for child in children.order_by("pk")[:1]:
            values = {"metrics": {"temperature": 20.1}}
            messages.append(Said(child.uid, "telemetry", values, gateway.uid))
    at = cast.ago(hours=2)
    for number, said in enumerate(messages):
        hear([said], at=at + number * timedelta(minutes=7))


def _event(
    cast: Cast, uid: str, code: str, severity: str, state: str, *, hours: float
) -> None:
    text = {"power_lost": "Runs on battery", "door_open": "Open for over 5 minutes"}
    body = {"code": code, "severity": severity, "state": state, "message": text[code]}
    hear([Said(uid, "event", body)], at=cast.ago(hours=hours))


def _acknowledge(cast: Cast, uids: list[str], *, hours: float) -> None:
    alarms = Alarm.objects.filter(device__uid__in=uids, state__in=OPEN_ALARMS)
    for alarm in alarms.order_by("pk"):
        acknowledge_alarm(alarm, by=cast.operator, at=cast.ago(hours=hours))
