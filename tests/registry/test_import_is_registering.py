"""An import accepts and makes exactly what single registrations accept and make."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from iotplatform.common.problems import BadInput
from registry.models import Device, HardwareRevision, Product, Site, Tenant
from registry.services.devices import DeviceDraft, register_devices
from registry.services.imports.importing import import_devices
from tests.factories import DeviceFactory, HardwareRevisionFactory
from tests.registry.parts import named, parts_of
from tests.registry.test_import_devices import errors_of, send

TEXT = st.text(max_size=5)
NAMES = st.sampled_from(["shanghai-01", "sensor-s1", "hub-1", "nowhere"]) | TEXT
DRAFTS = st.fixed_dictionaries(
    {
        "uid": st.sampled_from(["dev-1", "dev-2", "hub-1", "bad uid", "import", ""])
        | TEXT,
        "kind": st.sampled_from(["", "standalone", "gateway", "child", "pigeon"]),
        "gateway": st.none() | st.sampled_from(["hub-1", "dev-1", "old-1", "nowhere"]),
        "adapter": st.sampled_from(["mqtt", "http", "pigeon"]),
        "serial": st.sampled_from(["", "S1", "S2", "x" * 65]),
        "tags": st.lists(st.sampled_from(["a", "b", "not a tag", ""]), max_size=3),
        "attributes": st.sampled_from([{}, {"battery_rev": "A"}, {"battery_rev": 1}]),
        "space": st.sampled_from(["", "here", "far"]),
        "hardware_revision": st.sampled_from(["", "rev-a", "rev-b", "other-rev"]),
        "batch": st.sampled_from(["", "batch-a", "batch-b", "other-batch"]),
    }
)


@settings(
    deadline=None,
    max_examples=150,
    # Each example undoes what it wrote.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(DRAFTS, min_size=1, max_size=4))
@pytest.mark.django_db
def test_an_import_accepts_exactly_what_registration_accepts(
    acme: Tenant, site: Site, product: Product, drafts: list[dict[str, Any]]
) -> None:
    if not Device.objects.filter(uid="old-1").exists():
        DeviceFactory(tenant=acme, uid="old-1", kind="gateway", serial="S2")
        parts_of(acme)
    rows = [{"site": site, "product": product} | named(draft) for draft in drafts]
    lines = [
        json.dumps({"site": site.slug, "product": product.slug} | _sent(draft))
        for draft in drafts
    ]

    def fails(act: Any) -> bool:
        try:
            with transaction.atomic():
                act()
                transaction.set_rollback(True)
        except BadInput:
            return True
        return False

    registering = fails(
        lambda: register_devices(
            tenant=acme,
            drafts=[DeviceDraft(**row) for row in rows],
        )
    )
    importing = fails(
        lambda: import_devices(
            tenant=acme,
            stream=io.BytesIO("\n".join(lines).encode()),
            file_format="ndjson",
            actor=None,
        )
    )

    assert importing == registering


@settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.fixed_dictionaries(
        {
            "space": st.sampled_from(["", "here", "far"]),
            "hardware_revision": st.sampled_from(["", "rev-a", "rev-b", "other-rev"]),
            "batch": st.sampled_from(["", "batch-a", "batch-b", "other-batch"]),
        }
    )
)
@pytest.mark.django_db
def test_an_imported_device_equals_a_registered_one(
    acme: Tenant, site: Site, product: Product, parts: dict[str, str]
) -> None:
    if not HardwareRevision.objects.exists():
        parts_of(acme)
    given = {"uid": "dev-1", "site": site.slug, "product": product.slug}
    draft = DeviceDraft(uid="dev-1", site=site, product=product, **named(parts))
    line = json.dumps(given | _sent(parts)).encode()

    def what_came(act: Any) -> Any:
        with transaction.atomic():
            try:
                act()
            except BadInput as refusal:
                return {error["field"] for error in refusal.errors}
            finally:
                found = list(
                    Device.objects.filter(uid="dev-1").values_list(
                        "space__slug", "hardware_revision__slug", "batch__slug"
                    )
                )
                transaction.set_rollback(True)
        return found

    registered = what_came(lambda: register_devices(tenant=acme, drafts=[draft]))
    imported = what_came(
        lambda: import_devices(
            tenant=acme, stream=io.BytesIO(line), file_format="ndjson", actor=None
        )
    )

    assert imported == registered


@pytest.mark.usefixtures("site", "product")
def test_a_space_or_batch_of_another_object_is_refused_naming_the_field(
    manager: APIClient, acme: Tenant, globex: Tenant
) -> None:
    parts_of(acme)
    HardwareRevisionFactory(tenant=globex, slug="theirs")
    text = (
        "uid,site,product,space,hardware_revision,batch\n"
        "dev-2,shanghai-01,sensor-s1,here,rev-a,batch-a\n"
        "dev-3,shanghai-01,sensor-s1,far,,\n"
        "dev-4,shanghai-01,sensor-s1,,other-rev,\n"
        "dev-5,shanghai-01,sensor-s1,,rev-a,batch-b\n"
        "dev-6,shanghai-01,sensor-s1,,,other-batch\n"
        "dev-7,shanghai-01,sensor-s1,nowhere,theirs,nothing\n"
        "import,shanghai-01,sensor-s1,,,\n"
        "export,shanghai-01,sensor-s1,,,\n"
    )

    answer = send(manager, text)

    assert errors_of(answer) == {
        (3, "space"),
        (4, "hardware_revision"),
        (5, "batch"),
        (6, "hardware_revision"),
        (7, "space"),
        (7, "hardware_revision"),
        (7, "batch"),
        (8, "uid"),
        (9, "uid"),
    }
    assert not Device.objects.exists()


def _sent(draft: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in draft.items() if value not in ("", None)}
