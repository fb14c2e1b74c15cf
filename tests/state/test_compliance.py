"""Devices that have wanted values already are found for a patch of any form."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from state.models import Twin
from state.selectors.compliance import find_compliant
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db


def is_compliant(
    patch: dict[str, Any], *, desired: dict[str, Any], reported: dict[str, Any] | None
) -> bool:
    device = DeviceFactory.create()
    Twin.objects.update_or_create(
        device=device,
        defaults={
            "tenant": device.tenant,
            "desired": desired,
            "reported": reported or {},
            "reported_at": None if reported is None else timezone.now(),
        },
    )
    expected = {key: value for key, value in patch.items() if value is not None}
    return find_compliant([device.pk], patch, expected=expected) == {device.pk}


@pytest.mark.parametrize(
    ("patch", "desired", "reported", "compliant"),
    [
        ({"a": 5}, {"a": 5, "b": 1}, {"a": 5.0}, True),
        ({"a": 5}, {"a": 5}, {"a": 6}, False),
        ({"a": 5}, {"a": 5}, None, False),
        ({"a": 5}, {}, {"a": 5}, False),
        ({"a": {"b": "x"}}, {"a": {"b": "x", "c": 1}}, {"a": {"b": "x"}}, True),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, {"a": {"b": "x"}}, False),
        ({"a": 0.1}, {"a": 0.1}, {"a": 0.10000000149011612}, True),
        ({"a": [1]}, {"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [1]}, {"a": [1]}, {"a": [1]}, True),
        ({"a": 1, "b": None}, {"a": 1}, {"a": 1}, True),
        ({"a": 1, "b": None}, {"a": 1, "b": 2}, {"a": 1}, False),
    ],
)
def test_a_device_is_compliant_if_the_patch_would_change_nothing(
    patch: dict[str, Any],
    desired: dict[str, Any],
    reported: dict[str, Any] | None,
    compliant: bool,
) -> None:
    assert is_compliant(patch, desired=desired, reported=reported) is compliant
