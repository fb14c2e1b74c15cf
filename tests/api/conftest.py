"""One world for all tests of the REST API that change nothing for good."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction
from rest_framework.settings import api_settings

from fleet.services.indexing import Indexer
from tests.api.world import World, build_world


@pytest.fixture(scope="package")
def world(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: Any,
) -> Iterator[World]:
    """Objects that all these tests share; what a request does to them is undone."""
    folder: Path = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(django_settings, "INDEX_DIR", folder)
        for name in api_settings.DEFAULT_THROTTLE_RATES:
            patch.setitem(api_settings.DEFAULT_THROTTLE_RATES, name, "0/min")
        # A made-up poll is answered at once: no more of them may wait.
        patch.setattr(django_settings, "DEVICE_POLLS", 0)
        with transaction.atomic():
            indexer = Indexer(folder)
            indexer.open()
            yield build_world(indexer.drain)
            indexer.close()
            transaction.set_rollback(True)
