"""Rows are judged alike, whether a row before them has proved their parts or not."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iotplatform.common.problems import BadInput
from registry.models import Device, Product, Site, Tenant
from registry.services.imports import importing, reading
from registry.services.imports.importing import import_devices
from tests.factories import DeviceFactory
from tests.registry.parts import parts_of

# Mostly right values, so that whole files are right, too.
ROWS = st.fixed_dictionaries(
    {
        "uid": st.sampled_from([f"dev-{n}" for n in range(30)] + ["DEV-1", "bad uid"]),
        "site": st.sampled_from(["shanghai-01"] * 9 + ["nowhere"]),
        "product": st.just("sensor-s1"),
        "name": st.sampled_from(
            ["", " Zoë ", "tab\there, \\N and \\ \u2028", "x\r\ny"]
        ),
        "serial": st.sampled_from([""] * 9 + ["S1", " S1 ", "S\\2"]),
        "kind": st.sampled_from([""] * 5 + ["gateway", "child"]),
        "gateway": st.sampled_from([""] * 5 + ["old-1", "dev-1"]),
        "tags": st.sampled_from(["", "a", "NULL;a", "not a tag"]),
        "space": st.sampled_from(["", "here", "here", "far"]),
        "batch": st.sampled_from(["", "batch-a", "batch-a", "other-batch"]),
        "attributes": st.sampled_from(
            ["", '{"a": "\\"\\\\ \\t"}', '{"battery_rev": "A"}', "{"]
        ),
        "attributes.battery_rev": st.sampled_from(["", "A", "B", "Z"]),
        "attributes.number": st.sampled_from(["", "1", "x"]),
    }
)
RIGHT = {
    **{"site": "shanghai-01", "product": "sensor-s1", "name": "", "serial": ""},
    **{"kind": "", "gateway": "", "tags": "a", "space": "here", "batch": "batch-a"},
    **{"attributes": "", "attributes.battery_rev": "A", "attributes.number": ""},
}


def csv_of(rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def ndjson_of(rows: list[dict[str, str]]) -> bytes:
    """The same rows as objects, as far as an object can hold their cells."""
    lines = []
    for row in rows:
        found: dict[str, Any] = {name: text for name, text in row.items() if text}
        own = {
            name.partition(".")[2]: found.pop(name)
            for name in list(found)
            if name.startswith("attributes.")
        }
        given = found.pop("attributes", "{}")
        found["attributes"] = json.loads(given) | own if given != "{" else [given]
        if "tags" in found:
            found["tags"] = found["tags"].split(";")
        lines.append(json.dumps(found))
    return "\n".join(lines).encode()


def outcome(tenant: Tenant, file: bytes, kind: str) -> Any:
    """Import, return the errors or the devices, and undo it."""
    with transaction.atomic():
        try:
            import_devices(
                tenant=tenant, stream=io.BytesIO(file), file_format=kind, actor=None
            )
        except BadInput as refusal:
            found: Any = refusal.errors
        else:
            names = {f.name for f in Device._meta.concrete_fields}
            names -= {"id", "public_id", "created_at", "updated_at"}
            found = list(Device.objects.order_by("uid").values(*names))
        transaction.set_rollback(True)
    return found


@settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(ROWS, min_size=1, max_size=8, unique_by=lambda row: row["uid"]),
    rest=st.integers(0, 4),
    is_csv=st.booleans(),
)
@pytest.mark.django_db
def test_rows_are_judged_alike_in_batches_of_any_size(
    acme: Tenant,
    site: Site,
    product: Product,
    rows: list[dict[str, str]],
    rest: int,
    is_csv: bool,
) -> None:
    if not Device.objects.filter(uid="old-1").exists():
        DeviceFactory(tenant=acme, uid="old-1", kind="gateway", serial="S\\2")
        parts_of(acme)
    # Right rows around the others, so that most parts are known.
    more = [{"uid": f"right-{n}", **RIGHT} for n in range(rest)]
    file = (csv_of if is_csv else ndjson_of)([*more, *rows, *rows[:rest]])

    found = []
    with pytest.MonkeyPatch.context() as patch:
        for size in (1, 3, 1_000):
            patch.setattr(reading, "BATCH", size)
            patch.setattr(importing, "PART", size)
            found.append(outcome(acme, file, "csv" if is_csv else "ndjson"))

    assert found[0] == found[1] == found[2]


@pytest.mark.django_db
def test_an_import_makes_as_many_queries_for_many_devices_as_for_one(
    acme: Tenant, site: Site, product: Product
) -> None:
    parts_of(acme)

    def count(devices: int, *, dry_run: bool) -> int:
        file = csv_of([{"uid": f"dev-{n}", **RIGHT} for n in range(devices)])
        with CaptureQueriesContext(connection) as queries, transaction.atomic():
            import_devices(
                tenant=acme,
                stream=io.BytesIO(file),
                file_format="csv",
                actor=None,
                dry_run=dry_run,
            )
            transaction.set_rollback(True)
        return len(queries)

    for dry_run in (True, False):
        assert count(2_500, dry_run=dry_run) == count(1, dry_run=dry_run)
