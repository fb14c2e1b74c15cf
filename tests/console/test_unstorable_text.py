"""Every page refuses text that no table can hold; it is never an error of ours."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.factories import MembershipFactory

NUL = "a\0b"


@pytest.mark.django_db
def test_every_page_refuses_nul_in_its_address_and_forms() -> None:
    client = Client(raise_request_exception=False)
    client.force_login(MembershipFactory.create(role="admin").user)
    pages = [f"/{found.pattern}" for found in console_pages()]
    assert len(pages) > 5

    answers = {
        page: (
            client.get(page, {"x": NUL}).status_code,
            client.get(page, {NUL: "x"}).status_code,
            client.post(page, {"q": "*", "name": NUL}).status_code,
        )
        for page in pages
    }

    assert set(answers.values()) == {(400, 400, 400)}, answers


def console_pages() -> list[URLPattern]:
    """Return the console's pages whose address has no parameter."""
    (console,) = (
        row
        for row in get_resolver().url_patterns
        if isinstance(row, URLResolver) and row.namespace == "console"
    )
    return [
        row
        for row in console.url_patterns
        if isinstance(row, URLPattern) and "<" not in str(row.pattern)
    ]


@pytest.mark.django_db
def test_a_refused_address_is_answered_with_a_page_that_says_why() -> None:
    client = Client()
    client.force_login(MembershipFactory.create(role="admin").user)

    by_nul = client.get("/fleet/", {"q": NUL})
    by_host = client.get("/fleet/", headers={"Host": "elsewhere.example"})

    assert "cannot contain NUL" in by_nul.content.decode()
    assert by_host.status_code == 400
    assert "elsewhere.example" not in by_host.content.decode()
    assert "The server cannot read it" in by_host.content.decode()
