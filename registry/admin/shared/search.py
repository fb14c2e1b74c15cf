"""Search in lists with many rows per device, using only what indexes can find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from iotplatform.common.ids import parse_uuid
from registry.selectors.devices import find_ids_by_prefix_across_tenants

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class ByDevice(Base):
    """An admin mixin for rows of devices: finds them by the devices' uids.

    Django would join and compare each of a million rows. Rows with a public id are
    found by that, too.
    """

    search_fields = ("device__uid__startswith",)
    search_help_text = "Beginning of a device's uid"
    has_public_id = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Keep the rows of devices whose uid begins with the term."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if self.has_public_id and (public_id := parse_uuid(term)):
            return queryset.filter(public_id=public_id), False
        return queryset.filter(
            self.named(find_ids_by_prefix_across_tenants(term))
        ), False

    def named(self, device_ids: list[int]) -> Q:
        """Return the condition of rows of these devices."""
        return Q(device__in=device_ids)
