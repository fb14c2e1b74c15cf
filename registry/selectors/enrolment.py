"""Reads of enrolment keys, and of the devices that can be claimed with them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet

from registry.choices import CONNECTS
from registry.exceptions import NoSuchObject
from registry.models import Credential, Device, EnrolmentKey, Tenant
from registry.selectors.access import at_site_within
from registry.selectors.tokens import digest_of


def list_enrolment_keys(*, tenants: Sequence[Tenant]) -> QuerySet[EnrolmentKey]:
    """Return the keys of these tenants, newest first, including expired ones."""
    rows = EnrolmentKey.objects.filter(at_site_within(tenants))
    names = ("tenant", "product", "batch", "site", "created_by")
    return rows.select_related(*names).order_by("-pk")


def get_enrolment_key(
    *, tenants: Sequence[Tenant], public_id: UUID | str
) -> EnrolmentKey:
    """Return an enrolment key; raises NoSuchObject."""
    try:
        return list_enrolment_keys(tenants=tenants).get(public_id=public_id)
    except (EnrolmentKey.DoesNotExist, ValidationError) as error:
        raise NoSuchObject("enrolment key") from error


def list_tenant_ids_of_key_across_tenants(key_text: str) -> list[int]:
    """Return the id of the key's tenant in a list; empty for an unknown key."""
    rows = EnrolmentKey.objects.filter(digest=digest_of(key_text))
    return list(rows.values_list("tenant_id", flat=True))


def list_claimable_devices(key: EnrolmentKey) -> QuerySet[Device]:
    """Return the registered devices that the key may claim: never had a credential."""
    had_one = Credential.objects.filter(device=OuterRef("pk"))
    rows = Device.objects.filter(
        ~Exists(had_one),
        tenant=key.tenant_id,
        product=key.product_id,
        lifecycle__in=CONNECTS,
    )
    return rows if key.batch_id is None else rows.filter(batch=key.batch_id)
