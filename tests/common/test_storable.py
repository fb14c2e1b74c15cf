"""Text of callers and devices, made fit to store and to send."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iotplatform.common.problems import BadInput, Problem, problem_body
from iotplatform.common.storable import is_storable, storable, storable_document

# Any text that Python can hold, with more of what cannot be stored.
TEXTS = st.text(st.characters() | st.sampled_from("\0\ud800\udfff\udc80\\"))
DOCUMENTS = st.recursive(
    TEXTS | st.integers(-9, 9) | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("größe 😀", "größe 😀"),
        ("a\0b", "a\\0b"),
        ("\ud800x", "\\ud800x"),
        (b"gr\xf6\xdfe".decode("utf-8", "surrogateescape"), "gr\\xf6\\xdfe"),
    ],
)
def test_what_cannot_be_stored_is_shown_as_an_escape(text: str, expected: str) -> None:
    assert storable(text) == expected


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
@pytest.mark.django_db
def test_a_cleaned_document_can_be_stored_and_sent(document: Any) -> None:
    clean = storable_document(document)

    text = json.dumps(clean, ensure_ascii=False)
    text.encode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb, %s::text", [json.dumps(clean), text])
    assert storable_document(clean) == clean


@given(text=TEXTS)
def test_text_is_left_alone_exactly_if_it_can_be_stored(text: str) -> None:
    assert is_storable(text) == (storable(text) == text)


@given(text=TEXTS)
def test_a_refusal_that_quotes_any_text_can_be_stored_and_sent(text: str) -> None:
    errors = [{"field": text, "message": text, "value": text}]

    refusals = [Problem(text, errors=errors, given={text: [text]}), BadInput(name=text)]

    for refusal in refusals:
        assert is_storable(refusal.detail)
        assert storable_document(refusal.errors) == refusal.errors
        assert storable_document(refusal.extra) == refusal.extra
    assert is_storable(json.dumps(problem_body(400, text, errors), ensure_ascii=False))
