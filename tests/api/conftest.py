"""One world for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import transaction

from fleet.services.indexing import Indexer
from tests.api.world import World, build_world


@pytest.fixture(scope="module")
def world(
    django_db_setup: None,
    django_db_blocker: Any,
    tmp_path_factory: Any,
) -> Iterator[World]:
    """Objects that all these tests share; what a request does to them is undone."""
    folder: Path = tmp_path_factory.mktemp("index")
    with pytest.MonkeyPatch.context() as patch, django_db_blocker.unblock():
        patch.setattr(django_settings, "INDEX_DIR", folder)
        patch.setitem(
            django_settings.REST_FRAMEWORK, "DEFAULT_THROTTLE_RATES", {"key": "0/min"}
        )
        with transaction.atomic():
            indexer = Indexer(folder)
            indexer.open()
            yield build_world(indexer.drain)
            indexer.close()
            transaction.set_rollback(True)
