"""The admin with few rows and with many, and what each of its pages costs with both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client
from django.urls import reverse

from registry.models import Tenant
from tests.admin.pages import MODELS, Opened, addresses, open_page
from tests.admin.rows import FullRows, add_related_rows, make_world
from tests.factories import UserFactory

MANY = 30

Measured = dict[str, tuple[Opened, Opened]]


@pytest.fixture(scope="module")
def measured(django_db_setup: None, django_db_blocker: Any) -> Iterator[Measured]:
    """Every page as it was over one row of each kind, and over thirty."""
    with django_db_blocker.unblock(), transaction.atomic():
        client = Client()
        client.force_login(UserFactory(is_superuser=True, is_staff=True))
        world = make_world()
        pages = addresses(world)
        open_page(client, reverse("admin:index"))  # the session's first page
        few = _open_all(client, pages)
        _grow(world)
        many = _open_all(client, pages)
        yield {name: (few[name], many[name]) for name in pages}
        transaction.set_rollback(True)


def _open_all(client: Client, pages: dict[str, str]) -> dict[str, Opened]:
    ContentType.objects.clear_cache()  # else the first round would pay for both
    return {name: open_page(client, url) for name, url in pages.items()}


def _grow(world: FullRows) -> None:
    """Make each list, and the related rows of a row, thirty times as long."""
    for _ in range(MANY - 1):
        make_world()
    for model in MODELS:
        # Not of a tenant: every row refers to one.
        if model in world.made and model is not Tenant:
            add_related_rows(model, world, MANY - 1)
