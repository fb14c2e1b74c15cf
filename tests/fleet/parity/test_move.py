"""The move from the embedded index to Elasticsearch, as docs/production.md tells it."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from fleet.exceptions import IndexElsewhere, IndexUnavailable
from fleet.services.index_check import verify_index
from registry.models import Device
from tests.factories import DeviceFactory
from tests.fleet.both_engines import elasticsearch_chosen
from tests.fleet.rows import find

pytestmark = pytest.mark.django_db


def test_the_move_to_elasticsearch_and_back_changes_no_answer(
    index_dir: Path, settings: Any
) -> None:
    tenant = DeviceFactory.create(name="cold store").tenant
    DeviceFactory.create_batch(3, tenant=tenant)
    call_command("fleet_rebuild", stdout=StringIO())
    before = find(tenant, "*", facets=["site", "lifecycle"], sort="-uid")

    with elasticsearch_chosen(settings):
        with pytest.raises(IndexUnavailable):
            find(tenant, "*")
        call_command("fleet_rebuild", stdout=StringIO())

        assert find(tenant, "*", facets=["site", "lifecycle"], sort="-uid") == before
        assert verify_index().device_ids == []
        Device.objects.update(name="moved")
        call_command("fleet_rebuild", stdout=StringIO())
        assert find(tenant, "name:moved").total == 4

        settings.ELASTICSEARCH_URL = ""
        with pytest.raises(IndexElsewhere):  # its answers would be old ones
            find(tenant, "*")
        call_command("fleet_rebuild", stdout=StringIO())
        assert find(tenant, "name:moved").total == 4


def test_an_elasticsearch_that_does_not_answer_is_reported(
    indexer: Any, settings: Any
) -> None:
    device = DeviceFactory.create()
    indexer.drain()

    with elasticsearch_chosen(settings):
        call_command("fleet_rebuild", stdout=StringIO())
        settings.ELASTICSEARCH_URL = "http://127.0.0.1:1"

        with pytest.raises(IndexUnavailable, match="does not answer"):
            find(device.tenant, "*")
