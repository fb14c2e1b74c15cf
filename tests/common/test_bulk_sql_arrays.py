"""Array literals: PostgreSQL reads back what was written, whatever the values."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from iotplatform.common.bulk_sql import array_of

pytestmark = pytest.mark.django_db

BIGINTS = st.integers(-(2**63), 2**63 - 1)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])
# What PostgreSQL can hold in a text: no NUL, no lone surrogate.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
COLUMNS = {
    "bigint": BIGINTS,
    "boolean": st.booleans(),
    "float8": st.floats() | st.integers(-(2**53), 2**53),
    "timestamptz": st.datetimes(datetime(1, 1, 2), timezones=ZONES),
    "text": TEXTS,
}


def read_back(kind: str, values: list[Any]) -> list[Any]:
    """Write an array literal and have PostgreSQL read it."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT %s::{kind}[]", [array_of(values)])
        return list(cursor.fetchone()[0])


@pytest.mark.parametrize("kind", COLUMNS)
@given(data=st.data())
def test_an_array_is_read_back_as_written(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(COLUMNS[kind] | st.none(), max_size=20))
    found = read_back(kind, values)
    assert len(found) == len(values)
    for was, now in zip(values, found, strict=True):
        if isinstance(was, float) and math.isnan(was):
            assert math.isnan(now)
        else:
            assert now == was


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_infinity_is_preserved_beside_integers(value: float) -> None:
    assert read_back("float8", [1, value, 2.5]) == [1.0, value, 2.5]


def test_special_words_of_arrays_stay_text() -> None:
    words = ["NULL", "null", "", "{}", 'a"b', "a\\b", "a,b", " x "]
    assert read_back("text", words) == words
