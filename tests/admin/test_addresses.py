"""URLs that no page links to: refused or redirected, never a server error."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.admin.pages import MODELS, url_of
from tests.admin.people import boss

NUMBERS = ("x", "99999999999999999999999", "%00")
VALUES = ("%00", "x", "1,2")


@pytest.fixture
def client(db: None) -> Client:
    found = boss()
    found.raise_request_exception = False
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_url_makes_a_page_fail(client: Client, model: Any) -> None:
    page = url_of(model, "changelist")
    names = ["q", "p", "o", "pk__in", "nothing"]
    for spec in client.get(page).context["cl"].filter_specs:
        names += [str(name) for name in spec.expected_parameters()]
    asked = [f"{page}?{name}={value}" for name in names for value in VALUES]
    asked += [f"{page}{key}/{at}/" for key in NUMBERS for at in ("change", "history")]
    asked += [f"{page}add/?tenant={value}&device={value}" for value in VALUES]

    found = {url: client.get(url).status_code for url in dict.fromkeys(asked)}

    assert {url: status for url, status in found.items() if status >= 500} == {}
