"""Search of lists that hold many rows of each device, by what indexes can find."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from registry.selectors.devices import ids_beginning_across_tenants

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object


class ByDevice(Base):
    """Mixed into the admin of rows of devices: finds them by the devices' uids.

    Django would join and compare each of a million rows. Rows that have a public id are
    found by it, too.
    """

    search_fields = ("device__uid__startswith",)
    search_help_text = "What a device's uid begins with"
    has_public_id = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Keep the rows of the devices that are called so."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if self.has_public_id and (public_id := _uuid(term)):
            return queryset.filter(public_id=public_id), False
        return queryset.filter(self.named(ids_beginning_across_tenants(term))), False

    def named(self, device_ids: list[int]) -> Q:
        """Return the condition of rows of these devices."""
        return Q(device__in=device_ids)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
