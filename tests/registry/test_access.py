"""A limited member may access only the devices of their projects and sites."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from iotplatform.common.problems import BadInput
from registry.exceptions import NoSuchObject
from registry.models import Membership, MembershipLimit, Tenant, User
from registry.permissions import Right, tenants_where
from registry.selectors import access
from registry.selectors.devices import get_device, list_devices
from registry.selectors.places import list_projects, list_sites
from registry.services.devices import DeviceDraft, register_device, update_device
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
)

# Selectors of objects of the whole tenant, which every member may read.
OF_THE_TENANT = {
    # Rows of the whole tenant; rows of devices use OfDevices.
    "registry/admin/shared/tenant_rows.py",
    "registry/admin/imports.py",  # limited members see only their own
    "registry/selectors/firmware.py",
    "registry/selectors/people.py",
    "registry/selectors/products.py",
    "registry/selectors/slugs.py",  # its callers have applied the limit
    "registry/selectors/access.py",
    "commands/selectors/definitions.py",  # of products, as the rules below
    "state/selectors/rules.py",  # rules of products, which belong to the whole tenant
    # Policies of the whole tenant; a limited member sees no count of devices.
    "fleet/selectors/policies.py",
    "fleet/selectors/cohorts.py",  # saved queries; the limit applies to their results
    "console/selectors/playbooks.py",  # of steps; the limit applies to their runs
    # Webhooks are of the whole tenant; of the delivery log this is only a part.
    "console/selectors/webhooks.py",
    "console/selectors/notification_rules.py",  # of the whole tenant, too
    # Incidents: those with a device outside the member's limit are left out beside it.
    "console/selectors/incidents.py",
    "console/selectors/sla.py",  # policies; the lines of the report are by site
    # Sweeps over all tenants; nobody asks for what they read.
    *(f"console/services/incidents/{n}.py" for n in ("clock", "rows", "sweep")),
    # The histories' partitions of the tenant; the limit of now and then is beside it.
    *("fleet/selectors/past_fleet.py", "fleet/selectors/changes.py"),
}
BARE = re.compile(r"\btenant(_id)?__in=|tenant_id = ANY")


def limited_to(membership: Membership, **places: object) -> User:
    """Limit a member to a project or a site."""
    MembershipLimit.objects.create(
        membership=membership, tenant=membership.tenant, **places
    )
    return membership.user


def test_no_selector_forgets_the_limit() -> None:
    root = Path(__file__).parents[2]
    bare = {
        str(path.relative_to(root))
        for app in ("registry", "state", "commands", "fleet", "console")
        for path in sorted((root / app).rglob("*.py"))
        if "migrations" not in path.parts and BARE.search(path.read_text())
    }

    assert bare - OF_THE_TENANT == set()


def test_a_member_limited_to_a_site_finds_only_its_devices(acme: Tenant) -> None:
    inside, beyond = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    user = limited_to(MembershipFactory(tenant=acme), site=inside.site)

    tenants = tenants_where(user, Right.VIEW)

    assert list(list_devices(tenants=tenants)) == [inside]
    with pytest.raises(NoSuchObject):
        get_device(tenants=tenants, uid=beyond.uid)


def test_a_found_device_carries_the_callers_limit(acme: Tenant) -> None:
    inside = DeviceFactory(tenant=acme)
    user = limited_to(MembershipFactory(tenant=acme), site=inside.site)

    found = get_device(tenants=tenants_where(user, Right.VIEW), uid=inside.uid)

    assert found.tenant.limit is not None
    assert dict(found.tenant.limit.sites) == {inside.site_id: inside.site.slug}


def test_a_member_limited_to_a_project_may_access_its_devices_and_sites(
    acme: Tenant,
) -> None:
    project = ProjectFactory(tenant=acme)
    site = SiteFactory(tenant=acme, project=project)
    inside = DeviceFactory(tenant=acme, site=site, project=project)
    DeviceFactory(tenant=acme)
    ProjectFactory(tenant=acme)
    user = limited_to(MembershipFactory(tenant=acme), project=project)

    tenants = tenants_where(user, Right.VIEW)

    assert list(list_devices(tenants=tenants)) == [inside]
    assert list(list_sites(tenants=tenants)) == [site]
    assert list(list_projects(tenants=tenants)) == [project]


def test_a_limit_in_one_tenant_does_not_apply_to_another(
    acme: Tenant, globex: Tenant
) -> None:
    inside, beyond = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    elsewhere = DeviceFactory(tenant=globex)
    user = limited_to(MembershipFactory(tenant=acme), site=inside.site)
    MembershipFactory(tenant=globex, user=user)

    found = set(list_devices(tenants=tenants_where(user, Right.VIEW)))

    assert found == {inside, elsewhere}
    assert beyond not in found


def test_a_limited_manager_registers_and_moves_devices_only_within_the_limit(
    acme: Tenant,
) -> None:
    inside, beyond = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    member = MembershipFactory(tenant=acme, role="manager")
    [tenant] = tenants_where(limited_to(member, site=inside.site), Right.MANAGE)
    draft = DeviceDraft(
        uid="new-1", site=beyond.site, product=ProductFactory(tenant=acme)
    )

    with pytest.raises(BadInput) as registering:
        register_device(tenant=tenant, draft=draft)
    device = get_device(tenants=[tenant], uid=inside.uid)
    with pytest.raises(BadInput) as moving:
        update_device(device, changes={"site": beyond.site})

    assert [row["field"] for row in registering.value.errors] == ["site"]
    assert [row["field"] for row in moving.value.errors] == ["site"]


def test_the_sql_condition_equals_that_of_the_orm(acme: Tenant, globex: Tenant) -> None:
    inside = DeviceFactory(tenant=acme)
    DeviceFactory(tenant=acme)
    elsewhere = DeviceFactory(tenant=globex)
    user = limited_to(MembershipFactory(tenant=acme), site=inside.site)
    MembershipFactory(tenant=globex, user=user)

    text, values = access.sql_within(tenants_where(user, Right.VIEW), "d")
    rows = type(inside).objects.raw(
        f"SELECT * FROM registry_device d WHERE {text} ORDER BY id", values
    )

    assert list(rows) == [inside, elsewhere]
