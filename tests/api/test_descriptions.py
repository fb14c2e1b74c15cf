"""The API documentation says of every operation what it does."""

from __future__ import annotations

from collections import Counter

from drf_spectacular.generators import SchemaGenerator

METHODS = {"get", "post", "put", "patch", "delete"}


def test_every_operation_has_a_sentence_of_its_own() -> None:
    document = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]

    summaries = {
        f"{method.upper()} {path}": operation.get("summary", "")
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    }

    assert len(summaries) > 100
    unsaid = [name for name, text in summaries.items() if len(text.split()) < 2]
    assert unsaid == []
    assert [text for text, n in Counter(summaries.values()).items() if n > 1] == []
    assert not [text for text in summaries.values() if "{" in text or "``" in text]
