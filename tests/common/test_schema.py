"""The OpenAPI schema of the whole REST API is valid, and nothing is guessed."""

from __future__ import annotations

from io import StringIO

from django.core.management import call_command


def test_the_schema_is_valid_and_without_warnings() -> None:
    out = StringIO()

    call_command("spectacular", "--validate", "--fail-on-warn", stdout=out)

    assert "/api/v1/devices/{uid}/" in out.getvalue()
