"""Statements over many rows: typed as the models' columns, and none cut or lost."""

from __future__ import annotations

import pytest
from django.db import DataError

from fleet.models import Snapshot, SnapshotMember
from iotplatform.common import bulk_sql
from registry.models import Site
from tests.factories import SiteFactory


def test_many_rows_are_updated_by_their_key(db: None) -> None:
    sites = [SiteFactory(name=f"site {n}") for n in range(3)]
    rows = [(site.pk, f'new "{n}", \\ 浦东', None) for n, site in enumerate(sites[:2])]

    bulk_sql.run(
        bulk_sql.update_by_key(Site, "name", "latitude"), bulk_sql.columns_of(rows, 3)
    )

    names = list(Site.objects.order_by("pk").values_list("name", flat=True))
    assert names == ['new "0", \\ 浦东', 'new "1", \\ 浦东', "site 2"]


def test_a_value_that_is_too_long_is_refused_not_cut(db: None) -> None:
    site = SiteFactory(name="short")
    columns = bulk_sql.columns_of([(site.pk, "x" * 10_000)], 2)

    with pytest.raises(DataError, match="too long"):
        bulk_sql.run(bulk_sql.update_by_key(Site, "name"), columns)


def test_columns_have_the_types_of_the_model() -> None:
    assert bulk_sql.unnest(SnapshotMember, "device_id", "uid") == (
        "unnest(%s::bigint[], %s::varchar[]) AS v(device_id, uid)"
    )
    assert bulk_sql.insert_rows(Snapshot, "size").startswith(
        "INSERT INTO fleet_snapshot AS t (size) SELECT * FROM unnest(%s::integer[])"
    )
