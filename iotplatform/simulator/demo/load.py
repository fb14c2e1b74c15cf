"""Loading the demo fleet: what is missing is added, what is there stays as it is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.db.models import Manager, QuerySet
from django.utils import timezone

from iotplatform.simulator.demo.catalogue import (
    BATCHES,
    CONFIG_SCHEMA,
    HEARTBEAT_SECONDS,
    PEOPLE,
    PRODUCTS,
    PROJECTS,
    REPORTED_KEYS,
    REVISIONS,
    SPACES,
    SPACES_SITE,
    TENANTS,
)
from iotplatform.simulator.demo.connectivity_history import SPAN
from iotplatform.simulator.demo.fleet import BLOCK, DemoDevice, demo_devices
from iotplatform.simulator.demo.places import PLACES
from iotplatform.simulator.secrets import device_secret
from registry.choices import CONNECTS
from registry.device_secrets import SALT_BYTES, make_verifier
from registry.models import (
    Batch,
    Device,
    HardwareRevision,
    Product,
    Project,
    Site,
    Space,
    Tenant,
    User,
)
from registry.services.credentials import import_verifiers
from registry.services.devices import DeviceDraft, register_devices
from registry.services.people import create_user, set_membership
from registry.services.places import create_project, create_site
from registry.services.products import create_batch, create_product, create_revision
from registry.services.spaces import create_space
from registry.services.tenants import create_tenant

REGISTERED_BEFORE = timedelta(minutes=1)
# Whole blocks, so that a gateway and its children come in one transaction.
BATCH = 200 * BLOCK
T = TypeVar("T")
M = TypeVar("M", Site, Product, Space, Batch)


def load_fleet(count: int, *, key: bytes) -> set[str]:
    """Make the demo fleet ``count`` devices large; return the uids that are new."""
    load_catalogue()
    new: set[str] = set()
    for batch in in_batches(demo_devices(count), BATCH):
        with transaction.atomic():
            new |= _load_devices(batch)
            _load_credentials(batch, key)
    return new


@transaction.atomic
def load_catalogue() -> None:
    """Add the owners, people, places and products that are missing."""
    tenants = {tenant.slug: tenant for tenant in Tenant.objects.all()}
    for slug, name in TENANTS.items():
        if slug not in tenants:
            tenants[slug] = create_tenant(slug=slug, name=name)
    _load_people(tenants)
    projects = {
        (project.tenant.slug, project.slug): project
        for project in Project.objects.select_related("tenant")
    }
    for tenant, names in PROJECTS.items():
        for slug, name in names.items():
            if (tenant, slug) not in projects:
                projects[tenant, slug] = create_project(
                    tenant=tenants[tenant], slug=slug, name=name
                )
    known = set(Site.objects.values_list("tenant__slug", "slug"))
    for place in PLACES:
        if (place.tenant, place.slug) not in known:
            create_site(
                tenant=tenants[place.tenant],
                slug=place.slug,
                name=place.name,
                project=projects[place.tenant, place.project],
                region=place.region,
                country=place.country,
                time_zone=place.time_zone,
                latitude=place.latitude,
                longitude=place.longitude,
            )
    known = set(Product.objects.values_list("tenant__slug", "slug"))
    for slug, product in PRODUCTS.items():
        fields = dict(product)
        tenant = fields.pop("tenant")
        if (tenant, slug) not in known:
            create_product(
                tenant=tenants[tenant],
                slug=slug,
                heartbeat_seconds=HEARTBEAT_SECONDS,
                reported_keys=REPORTED_KEYS,
                config_schema=CONFIG_SCHEMA,
                **fields,
            )
    _load_parts()


def _load_parts() -> None:
    """Add the spaces inside a site, and what a product was built as."""
    tenant, slug = SPACES_SITE
    site = _named(Site.objects).get(tenant__slug=tenant, slug=slug)
    spaces = {space.slug: space for space in Space.objects.filter(site=site)}
    for slug, name, kind, parent in SPACES:
        if slug not in spaces:
            spaces[slug] = create_space(
                tenant=site.tenant,
                site=site,
                slug=slug,
                name=name,
                kind=kind,
                parent=spaces[parent] if parent else None,
            )
    sensor = _named(Product.objects).get(tenant=site.tenant, slug="sensor-s1")
    known = set(Batch.objects.filter(tenant=site.tenant).values_list("slug", flat=True))
    rows = HardwareRevision.objects.filter(tenant=site.tenant)
    revisions = {revision.slug: revision for revision in rows}
    for revision, name in REVISIONS.values():
        if revision not in revisions:
            revisions[revision] = create_revision(
                tenant=site.tenant, product=sensor, slug=revision, name=name
            )
    for batch, name, battery in BATCHES:
        if batch not in known:
            create_batch(
                tenant=site.tenant,
                hardware_revision=revisions[REVISIONS[battery][0]],
                slug=batch,
                name=name,
            )


def _load_people(tenants: dict[str, Tenant]) -> None:
    known = set(User.objects.values_list("username", flat=True))
    for username, password, tenant, role in PEOPLE:
        if username in known:
            continue
        # A service account's way in: the rules for passwords bind people's own choice.
        is_platform = tenant is None
        user = create_user(
            username=username,
            password=password,
            is_superuser=is_platform,
            is_staff=is_platform,
        )
        if tenant is not None and role is not None:
            set_membership(user=user, tenant=tenants[tenant], role=role)


def _load_devices(batch: list[DemoDevice]) -> set[str]:
    uids = [device.uid for device in batch]
    known = set(Device.objects.filter(uid__in=uids).values_list("uid", flat=True))
    sites = {(s.tenant.slug, s.slug): s for s in _named(Site.objects)}
    products = {(p.tenant.slug, p.slug): p for p in _named(Product.objects)}
    spaces = {(s.tenant.slug, s.slug): s for s in _named(Space.objects)}
    rows = _named(Batch.objects).select_related("hardware_revision")
    batches = {(b.tenant.slug, b.slug): b for b in rows}
    drafts: dict[str, list[DeviceDraft]] = {}
    for device in batch:
        if device.uid in known:
            continue
        draft = DeviceDraft(
            uid=device.uid,
            site=sites[device.tenant, device.place.slug],
            space=spaces[device.tenant, device.space] if device.space else None,
            product=products[device.tenant, device.product],
            batch=batches[device.tenant, device.batch] if device.batch else None,
            name=device.name,
            serial=f"SN{device.number + 1:08d}",
            gateway=device.gateway_uid,
            lifecycle=device.lifecycle,
            tags=device.tags,
            attributes=dict(device.attributes),
        )
        drafts.setdefault(device.tenant, []).append(draft)
    for tenant in Tenant.objects.filter(slug__in=drafts):
        # Before their past begins.
        at = timezone.now() - SPAN - REGISTERED_BEFORE
        register_devices(tenant=tenant, drafts=drafts[tenant.slug], now=at)
    return set(uids) - known


def _load_credentials(batch: list[DemoDevice], key: bytes) -> None:
    """Give those that connect by themselves the secret that the simulator derives."""
    heads = {d.uid for d in batch if d.gateway_uid is None}
    verifiers: dict[int, dict[int, str]] = {}
    rows = Device.objects.filter(uid__in=heads, lifecycle__in=CONNECTS)
    for pk, uid, tenant_id in rows.values_list("pk", "uid", "tenant_id"):
        verifiers.setdefault(tenant_id, {})[pk] = _verifier(key, uid)
    for tenant in Tenant.objects.filter(pk__in=verifiers):
        import_verifiers(tenant=tenant, verifiers=verifiers[tenant.pk])


def _verifier(key: bytes, uid: str) -> str:
    """The same at every start, so that a second one finds nothing to change."""
    salt = hmac.digest(key, f"salt:{uid}".encode(), hashlib.sha256)[:SALT_BYTES]
    return make_verifier(device_secret(key, uid), salt=salt)


def _named(rows: Manager[M]) -> QuerySet[M]:
    return rows.filter(tenant__slug__in=TENANTS).select_related("tenant")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most this size."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
