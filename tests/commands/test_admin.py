"""The admin shows commands and jobs, read-only and with few queries."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.commands.test_jobs import fleet_of, make_job
from tests.commands.units import ask, deliver, online_unit
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> Client:
    client = Client()
    person = UserFactory.create(is_staff=True, is_superuser=True)
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client


def test_lists_need_the_same_queries_for_any_number_of_rows(
    admin: Client, django_assert_max_num_queries: Any
) -> None:
    for unit in fleet_of(10):
        ask(unit)
    make_job(fleet_of(2, online=False))

    with django_assert_max_num_queries(12):
        commands = admin.get(reverse("admin:commands_command_changelist"))
    with django_assert_max_num_queries(12):
        jobs = admin.get(reverse("admin:commands_job_changelist"))

    assert (commands.status_code, jobs.status_code) == (200, 200)


def test_a_command_is_shown_with_attempts_and_events_and_cannot_be_changed(
    admin: Client,
) -> None:
    command = ask(online_unit())
    deliver()
    page = reverse("admin:commands_command_change", args=[command.pk])

    shown = admin.get(page)
    changed = admin.post(page, {"status": "succeeded"})

    assert "sent, attempt 1" in shown.content.decode()
    assert changed.status_code == 403
