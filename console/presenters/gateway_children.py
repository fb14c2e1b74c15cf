"""The children of a gateway on its page, each with its connectivity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from console.presenters.search_results import fleet_url
from fleet.query.clauses import field_clause, join_clauses
from registry.choices import DeviceKind
from registry.selectors.devices import list_children
from state.choices import Connectivity
from state.selectors.by_device_ids import presence_of

if TYPE_CHECKING:
    from registry.models import Device

SHOWN = 50  # a gateway of hundreds has its search


def present_children(device: Device) -> dict[str, Any]:
    """Return what the page shows of a gateway; empty for any other device."""
    if device.kind != DeviceKind.GATEWAY:
        return {}
    found = list(list_children(device)[: SHOWN + 1])
    known = presence_of([child.pk for child in found[:SHOWN]])
    unheard = (str(Connectivity.OFFLINE.value), "never_connected")
    new_child = {
        "product": f"{device.tenant.slug}/{device.product.slug}",
        "kind": str(DeviceKind.CHILD.value),
        "gateway": device.uid,
        "site": device.site.slug,
    }
    return {
        "children": [
            {
                "uid": child.uid,
                "name": child.name,
                "lifecycle": child.get_lifecycle_display(),
                "connectivity": known.get(child.pk, unheard)[0],
                "cause": known.get(child.pk, unheard)[1],
            }
            for child in found[:SHOWN]
        ],
        "has_more_children": len(found) > SHOWN,
        "children_url": fleet_url(
            q=join_clauses([field_clause("gateway", device.uid)])
        ),
        "new_child_url": f"{reverse('console:new-device')}?{urlencode(new_child)}",
    }
