"""Every error of the API is a problem document that names the cause."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from iotplatform import error_pages
from iotplatform.common.problems import BadInput
from registry.models import Device, Tenant
from tests.factories import DeviceFactory

URL = "/api/v1/devices/"
SITES = "/api/v1/sites/"


def post_raw(client: Any, body: bytes) -> Any:
    return client.generic("POST", SITES, body, content_type="application/json")


def problem_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "errors"} <= set(body)
    assert body["status"] == status
    return body


@pytest.mark.parametrize(
    "path", ["/api/v1/nothing/", "/api/v1/devices", "/api/", "/api/v2/devices/"]
)
def test_an_unknown_path_is_404_with_and_without_debug(
    db: None, settings: Any, path: str
) -> None:
    client = Client(enforce_csrf_checks=True)
    for settings.DEBUG in (False, True):
        assert "slash" in problem_of(client.get(path), 404)["detail"]
        problem_of(client.post(path), 404)


def test_an_unsupported_method_is_405(manager: APIClient) -> None:
    assert "DELETE" in problem_of(manager.delete(URL), 405)["detail"]


def test_an_unsupported_media_type_is_415_and_an_unsupported_accept_header_406(
    manager: APIClient,
) -> None:
    sent = manager.post(URL, "uid=x", content_type="text/plain")
    asked = manager.get(URL, HTTP_ACCEPT="text/csv")

    assert "text/plain" in problem_of(sent, 415)["detail"]
    problem_of(asked, 406)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"", "required"),
        (b"\xff\xfe", "The body is not UTF-8 text"),
        (b"\x1f\x8b\x08", "compressed"),
        (b'{"slug": NaN}', "JSON"),
        (b'{"slug": "a\\u0000b"}', "NUL"),
        (b'{"a\\u0000b": 1}', "NUL"),
        (b'{"slug": "\\ud800"}', "surrogate"),
        (b"[" * 100_000 + b"]" * 100_000, "deep"),
        (b"[" * 100 + b"]" * 100, "deep"),
        (b"1" * 5_000, "JSON"),
    ],
)
def test_invalid_json_is_400_with_the_reason(
    manager: APIClient, body: bytes, word: str
) -> None:
    answer = post_raw(manager, body)

    text = str(problem_of(answer, 400))
    assert word in text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"slug": "a\\u0000b"}', "slug"),
        (b'{"a": [1, {"b": "\\ud800"}]}', "a.1.b"),
        (b'{"c": {"a\\u0000b": 1}}', "c"),
    ],
)
def test_text_that_cannot_be_stored_is_refused_with_its_field(
    manager: APIClient, body: bytes, field: str
) -> None:
    errors = problem_of(post_raw(manager, body), 400)["errors"]

    assert [error["field"] for error in errors] == [field]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b"null"])
def test_json_that_is_not_an_object_is_400(manager: APIClient, body: bytes) -> None:
    answer = post_raw(manager, body)

    problem_of(answer, 400)


def test_a_body_that_is_too_long_is_413(manager: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    body = b'{"slug": "' + b"a" * 2_000 + b'"}'

    answer = post_raw(manager, body)

    assert "1000" in problem_of(answer, 413)["detail"]


@pytest.mark.parametrize("uid", ["%00", "a%00b", "a b", "%F0%9F%98%80", "x" * 300])
def test_a_path_that_names_no_device_is_404(
    manager: APIClient, acme: Tenant, uid: str
) -> None:
    DeviceFactory(tenant=acme)

    problem_of(manager.get(f"{URL}{uid}/"), 404)
    problem_of(manager.get(f"{SITES}{uid}/"), 404)


def test_an_invalid_filter_is_400_and_named(manager: APIClient) -> None:
    body = problem_of(manager.get(f"{URL}?kind=%00"), 400)

    assert [row["field"] for row in body["errors"]] == ["kind"]


def test_an_internal_error_reveals_no_details(
    manager: APIClient, acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("registry.api.devices.get_device", fail)

    answer = manager.get(f"{URL}x/")

    assert "secret inside" not in str(problem_of(answer, 500))
    assert not Device.objects.exists()


def test_a_database_that_is_away_is_503(
    manager: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("connection refused by 10.0.0.7")

    monkeypatch.setattr("registry.api.devices.get_device", fail)

    answer = manager.get(f"{URL}x/")

    assert "10.0.0.7" not in str(problem_of(answer, 503))


def test_a_browser_gets_a_page_and_a_script_a_problem_document() -> None:
    for path, kind in (("/api/v1/x", "application/problem+json"), ("/x", "text/html")):
        answer = error_pages.server_error(RequestFactory().get(path))
        assert answer["Content-Type"].startswith(kind)
        assert answer.status_code == 500


@pytest.mark.parametrize(
    ("path", "text"),
    [("/api/v1/x", b"The database does not answer"), ("/x", b"Database unavailable")],
)
def test_pages_and_api_answer_503_while_the_database_is_away(
    path: str, text: bytes
) -> None:
    try:
        raise OperationalError("the server is gone")
    except OperationalError:
        answer = error_pages.server_error(RequestFactory().get(path))

    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert text in getattr(answer, "content", b"")


@pytest.fixture
def no_redis(settings: Any) -> None:
    away = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {**settings.CACHES, "default": away}


def test_signing_in_without_redis_is_answered_503(db: None, no_redis: None) -> None:
    client = Client(raise_request_exception=False)

    answer = client.post("/accounts/login/", {"login": "x", "password": "y"})

    assert answer.status_code == 503
    assert answer["Retry-After"]
    assert "Redis unavailable" in answer.content.decode()


def test_an_api_that_needs_redis_is_503_without_it(
    manager: APIClient, no_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*args: Any, **kwargs: Any) -> None:
        cache.get("x")

    monkeypatch.setattr("registry.api.devices.get_device", look)

    answer = manager.get(f"{URL}x/")

    assert "Redis does not answer" in problem_of(answer, 503)["detail"]


def test_a_form_without_csrf_token_gets_a_403_page(db: None) -> None:
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/accounts/login/", {"login": "x", "password": "y"})

    assert answer.status_code == 403
    assert answer["Content-Type"].startswith("text/html")


def test_bad_input_names_fields() -> None:
    refusal = BadInput(site="There is none.")

    assert refusal.errors == [{"field": "site", "message": "There is none."}]
