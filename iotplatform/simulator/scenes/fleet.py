"""The fleet that scenes choose from, as registry and state have it now."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet

from iotplatform.simulator.demo.targets import list_simulated_across_tenants
from iotplatform.simulator.metrics import BATTERY
from iotplatform.simulator.scenes.choice import FleetDevice
from registry.choices import Adapter, DeviceKind, Lifecycle
from registry.models import Device
from state.choices import Cause, Connectivity
from state.models import MaintenancePlace, Presence, Twin

COLUMNS = (
    *("pk", "uid", "tenant__slug", "site__slug", "site__name", "product__slug"),
    *("batch__slug", "gateway__uid", "kind", "product__metrics"),
)


def read_fleet_across_tenants() -> list[FleetDevice]:
    """Return the devices in service that were heard at some time."""
    heard = Presence.objects.exclude(cause=Cause.NEVER_CONNECTED)
    rows = Device.objects.filter(
        lifecycle=Lifecycle.ACTIVE, adapter=Adapter.MQTT, pk__in=heard.values("pk")
    )
    ready = set(_ready(rows).values_list("pk", flat=True))
    firmware = dict(Twin.objects.values_list("pk", "firmware"))
    return [
        FleetDevice(
            uid=uid,
            site=f"{tenant}/{site or ''}",
            site_name=site_name or "",
            product=f"{tenant}/{product}",
            firmware=firmware.get(pk, ""),
            batch=f"{tenant}/{batch}" if batch else "",
            gateway=gateway or "",
            is_gateway=kind == DeviceKind.GATEWAY,
            has_battery=any(metric["name"] == BATTERY for metric in metrics),
            is_ready=pk in ready and site is not None,
        )
        for (
            pk,
            uid,
            tenant,
            site,
            site_name,
            product,
            batch,
            gateway,
            kind,
            metrics,
        ) in rows.values_list(*COLUMNS).iterator(chunk_size=5_000)
    ]


def _ready(rows: QuerySet[Device]) -> QuerySet[Device]:
    here = Q(device=OuterRef("pk")) | Q(site=OuterRef("site"))
    online = Presence.objects.filter(connectivity=Connectivity.ONLINE)
    return rows.filter(
        ~Exists(MaintenancePlace.objects.filter(here, is_in_force=True)),
        Exists(online.filter(pk=OuterRef("pk"))),
        pk__in=list_simulated_across_tenants().values("pk"),
    )
