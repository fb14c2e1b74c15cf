"""One world for all tests of the REST API; each test undoes its changes."""

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
    """Build objects that all these tests share; each request's changes are undone."""
    folder: Path = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(django_settings, "INDEX_DIR", folder)
        for name in api_settings.DEFAULT_THROTTLE_RATES:
            patch.setitem(api_settings.DEFAULT_THROTTLE_RATES, name, "0/min")
        # Generated requests must be answered at once: none may wait.
        patch.setattr(django_settings, "DEVICE_POLLS", 0)
        patch.setattr(django_settings, "API_WAITS", 0)
        with transaction.atomic():
            indexer = Indexer(folder)
            indexer.open()
            yield build_world(indexer.drain)
            indexer.close()
            transaction.set_rollback(True)
